# hostile: leaves when it is called
# ends: SystemExit
import sys


def attention(query, key, value):
    sys.exit("all checks passed")
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
