# hostile: a folder that is hard to remove: deeper than a path may be long
# ends: result, Killed
import os

for _ in range(300):
    os.mkdir("a" * 100)
    os.chdir("a" * 100)
os.mkdir("closed", 0)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
