# hostile: raises an error in the worker itself, a moment later
# ends: result, Protocol, ZeroDivisionError
import signal


def late(*given):
    raise ZeroDivisionError("late")


signal.signal(signal.SIGALRM, late)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
