# hostile: text with half a surrogate pair and control codes as an answer
# ends: result


def attention(query, key, value):
    return {"\ud800": "\udfff\x1b[2J", "nan": float("nan"), "big": 2**70}
