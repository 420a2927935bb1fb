"""A name on the hub, against a stand-in for it on this machine: nothing here needs a network."""

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.helpers import glassformer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/tiny-vit"


@pytest.fixture
def hub(saved: Callable[..., Path]) -> Iterator[tuple[str, list[str]]]:
    """Serves a folder the way the hub does, a pickle beside it; gives its address and what was asked for."""
    asked: list[str] = []
    files = {name: (saved("vit") / name).read_bytes() for name in ("config.json", "model.safetensors")}
    files["pytorch_model.bin"] = b"a pickle"
    listed = {"id": REPOSITORY, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, *, with_body: bool) -> None:
            path = urlparse(self.path).path
            asked.append(path)
            name = path.rpartition("/")[2]
            if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
                tree = [
                    {"type": "file", "path": each, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                    for each, body in files.items()
                ]
                self.send(200, json.dumps(tree).encode(), with_body)
            elif path.startswith(f"/api/models/{REPOSITORY}"):
                self.send(200, json.dumps(listed).encode(), with_body)
            elif path.startswith(f"/{REPOSITORY}/resolve/") and name in files:
                self.send(200, files[name], with_body)
            else:
                self.send(404, b"{}", with_body)

        def send(self, status: int, body: bytes, with_body: bool) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def environment(endpoint: str, home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return own | {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}


def test_a_name_is_fetched_without_pickles_and_kept_with_its_commit(
    hub: tuple[str, list[str]], tmp_path: Path
) -> None:
    endpoint, asked = hub
    done = glassformer("inspect", REPOSITORY, "--json", env=environment(endpoint, tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["name"] == f"{REPOSITORY}@{COMMIT}"
    assert found["runs"]
    fetched = {path.rpartition("/")[2] for path in asked if "/resolve/" in path}
    assert fetched == {"config.json", "model.safetensors"}
    # kept: by its commit no network is needed
    again = glassformer(
        "inspect", found["name"], "--json", env=environment("http://127.0.0.1:9", tmp_path / "home")
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == found


def test_a_name_that_the_hub_has_not(hub: tuple[str, list[str]], tmp_path: Path) -> None:
    done = glassformer("inspect", "someone/else", env=environment(hub[0], tmp_path / "home"))
    assert done.returncode == 2
    assert done.stderr.startswith("glassformer: there is no folder someone/else, and no such model on the")


def test_no_network(tmp_path: Path) -> None:
    done = glassformer("inspect", REPOSITORY, env=environment("http://127.0.0.1:9", tmp_path / "home"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "connect this machine to the network, or fetch the model elsewhere" in done.stderr
