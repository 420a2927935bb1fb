# hostile: closes every descriptor
# ends: Protocol
import os

os.closerange(0, 128)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
