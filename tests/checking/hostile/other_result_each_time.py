# hostile: answers otherwise each time
# ends: result
import random
import time


def attention(query, key, value):
    value = value * random.Random(time.monotonic_ns()).random()
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
