# hostile: recurses after it has lifted the limit
# ends: TimeLimit, MemoryLimit, Killed
import sys

sys.setrecursionlimit(10**9)


def attention(query, key, value):
    attention(query, key, value)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
