# hostile: ends by an abort
# ends: Killed
import os


def attention(query, key, value):
    os.abort()
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
