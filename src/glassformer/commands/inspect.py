"""glassformer inspect FOLDER|NAME"""

import json
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from glassformer.commands.parsing import parse


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """Looks into a published model without loading it: architecture, sizes, and whether it runs here.

    Exit status 1 where it does not.
    """

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """FOLDER in the Hugging Face layout, hub NAME or NAME@REVISION, or a RUN of glassformer pretrain."""
    json: bool = False
    """Print one JSON object."""


def run(words: list[str]) -> int:
    options = parse(InspectOptions, "glassformer inspect", words)
    from glassformer.pretrained.inspecting import as_lines, inspect

    found = inspect(options.model)
    print(json.dumps(found.as_dict(), ensure_ascii=False) if options.json else "\n".join(as_lines(found)))
    return 0 if found.runs else 1
