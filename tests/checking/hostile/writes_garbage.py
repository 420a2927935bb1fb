# hostile: writes bytes that are no reply, and a claim of four gigabytes
# ends: Protocol
import contextlib
import os

for descriptor in range(3, 128):
    with contextlib.suppress(OSError):
        os.write(descriptor, b"\xff" * 4096)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
