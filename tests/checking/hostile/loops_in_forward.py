# hostile: never comes back from a call
# ends: TimeLimit


def attention(query, key, value):
    while True:
        pass
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
