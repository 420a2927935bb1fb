# hostile: answers in the place of the worker, well formed
# ends: result, Protocol
import contextlib
import os
import sys

import numpy as np

from glassformer.checking import wire
from glassformer.checking.exchange import Result


def attention(query, key, value):
    frame = sys._getframe()
    while "request" not in frame.f_locals:
        frame = frame.f_back
    reply = wire.pack({"number": frame.f_locals["request"]["number"], "value": Result(np.zeros((2, 4, 8)))})
    for descriptor in range(3, 128):
        with contextlib.suppress(OSError):
            os.write(descriptor, reply)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
