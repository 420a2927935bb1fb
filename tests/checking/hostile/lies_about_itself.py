# hostile: signature, name, documentation and class are false
# ends: result, ValueError, RuntimeError, TypeError, AttributeError, Exception
class Liar(type):
    @property
    def __signature__(cls):
        raise RuntimeError("no signature")

    @property
    def __doc__(cls):
        return 5

    @property
    def __name__(cls):
        return ["no name"]


class Odd(metaclass=Liar):
    pass


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value


attention.__signature__ = "(*, correct=True)"
attention.__name__ = "correct\x1b[2J"
attention.__doc__ = "x" * 2_000_000
attention.__module__ = "torch"
attention.__module__ = __name__
