# hostile: ends the process when it is called
# ends: Exit
import os


def attention(query, key, value):
    os._exit(0)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
