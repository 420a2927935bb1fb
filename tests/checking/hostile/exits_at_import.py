# hostile: leaves when it is imported
# ends: SystemExit
import sys

sys.exit(0)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
