# hostile: looks for the expected values in whoever calls it
# ends: result
import sys


def attention(query, key, value):
    frame = sys._getframe()
    while frame is not None:
        assert not any("expected" in name or "reference" in name for name in frame.f_locals), frame.f_locals
        frame = frame.f_back
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
