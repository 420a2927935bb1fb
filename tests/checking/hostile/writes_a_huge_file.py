# hostile: fills the disk with one file
# ends: OSError
with open("large", "wb") as file:
    while True:
        file.write(bytes(2**20))


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
