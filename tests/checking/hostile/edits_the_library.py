# hostile: puts its own code into the installed torch
# ends: result
import contextlib
import os

import torch

for path in (torch.__file__, os.path.join(os.path.dirname(torch.__file__), "glassformer_hostile.py")):
    with contextlib.suppress(OSError), open(path, "a") as file:
        file.write("# changed")


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
