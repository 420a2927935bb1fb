# hostile: a segmentation fault
# ends: Killed
import ctypes


def attention(query, key, value):
    ctypes.string_at(0)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
