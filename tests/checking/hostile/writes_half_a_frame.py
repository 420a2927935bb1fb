# hostile: begins a reply and never ends it
# ends: TimeLimit
import contextlib
import os
import struct
import time

for descriptor in range(3, 128):
    with contextlib.suppress(OSError):
        os.write(descriptor, struct.pack("<II", 0, 60 * 2**20) + bytes(1000))
time.sleep(1e8)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
