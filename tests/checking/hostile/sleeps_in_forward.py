# hostile: waits for ever and takes no processor time
# ends: TimeLimit
import time


def attention(query, key, value):
    time.sleep(1e8)
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
