# hostile: takes more memory than there is
# ends: MemoryLimit


def attention(query, key, value):
    hoard = bytearray(50 * 2**30)
    assert hoard
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
