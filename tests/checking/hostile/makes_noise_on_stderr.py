# hostile: writes to every stream that might be the checker's
# ends: result
import contextlib
import os
import sys
import warnings

for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
    stream.write("\x1b[2J\x1b[31mERROR in the checker\n" * 1000)
warnings.warn("\x1b]0;title\x07", stacklevel=1)
with contextlib.suppress(OSError):
    os.write(2, b"\x00glassformer\x00" * 1000 + b"\xff\xfe")


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
