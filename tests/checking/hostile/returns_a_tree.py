# hostile: an answer of a thousand times a thousand times a thousand parts
# ends: TimeLimit, MemoryLimit, Answer


def attention(query, key, value):
    found = []
    for _ in range(5):
        found = [found] * 1000
    return [value, found]
