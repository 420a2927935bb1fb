# hostile: pretends that Ctrl-C was pressed
# ends: KeyboardInterrupt


def attention(query, key, value):
    raise KeyboardInterrupt
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
