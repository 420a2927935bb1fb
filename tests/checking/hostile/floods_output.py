# hostile: prints a hundred megabytes
# ends: result, TimeLimit
for _ in range(100):
    print("x" * 2**20)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
