# hostile: raises an error that no `except Exception` sees, and that cannot be told
# ends: Odd, Exception, RuntimeError
class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def attention(query, key, value):
    raise Odd
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
