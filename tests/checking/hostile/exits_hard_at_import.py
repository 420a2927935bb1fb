# hostile: ends the process when it is imported, with the status of success
# ends: Exit
import os

os._exit(0)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
