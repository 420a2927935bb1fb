"""Every link of the built site leads somewhere, and nothing is fetched from elsewhere.

python docs/tools/links.py [FOLDER]
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

FETCHED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}
"""Element -> the attribute whose address a browser asks for by itself."""
NOT_FETCHED = {"canonical", "prev", "next", "alternate"}
"""Kinds of <link> that only name an address."""


class Page(HTMLParser):
    """The addresses in a page, those among them that a browser fetches, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        self.anchors |= {have[name] for name in ("id", "name") if have.get(name)}
        self.links += [have[name] for name in ("href", "src") if have.get(name)]
        address = have.get(FETCHED.get(tag, ""), "")
        if address and not (tag == "link" and have.get("rel", "") in NOT_FETCHED):
            self.fetched.append(address)


def broken(site: Path) -> list[str]:
    """What is wrong with the site, a line each: dead links, missing anchors, what is fetched elsewhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        if path.name == "404.html":  # served for any address, so its links start at the site's root
            continue
        where = path.relative_to(site)
        found += [f"{where}: fetches {each}" for each in page.fetched if urlsplit(each).netloc]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_relative_to(site.resolve()) or not target.is_file():
                found.append(f"{where}: {link} leads nowhere")
            elif parts.fragment and target.suffix == ".html":
                anchors = pages[site / target.relative_to(site.resolve())].anchors
                if unquote(parts.fragment) not in anchors:
                    found.append(f"{where}: {link} has no such anchor")
    return found


if __name__ == "__main__":
    wrong = broken(Path(sys.argv[1] if len(sys.argv) > 1 else "site"))
    print("\n".join(wrong) or "every link leads somewhere, and nothing is fetched from elsewhere")
    sys.exit(bool(wrong))
