# hostile: never comes back from its import
# ends: TimeLimit
while True:
    pass


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
