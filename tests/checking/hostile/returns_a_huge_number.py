# hostile: a number of more digits than are converted
# ends: Answer, result


def attention(query, key, value):
    return 10**100_000
