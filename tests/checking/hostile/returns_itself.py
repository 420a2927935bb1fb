# hostile: an answer without end: a list that holds itself, a thousand times
# ends: RecursionError


def attention(query, key, value):
    found = []
    found.extend([found] * 1000)
    return found
