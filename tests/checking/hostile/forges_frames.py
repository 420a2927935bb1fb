# hostile: writes replies of its own to every descriptor
# ends: Protocol
import contextlib
import os

from glassformer.checking import wire

for number in range(10):
    for descriptor in range(128):
        with contextlib.suppress(OSError):
            os.write(descriptor, wire.pack({"number": number, "value": "correct"}))


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
