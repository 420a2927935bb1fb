"""The two ways in which a command can be refused, and the exit status that each one has."""


class UsageError(ValueError):
    """What the user typed cannot be done: an unknown name, a size that does not fit. Exit status 2."""


class DataError(ValueError):
    """What was asked for failed on what it found: a broken file, a missing network. Exit status 1."""


def nearest(name: str, known: list[str]) -> str:
    """The part of an error message that names the choices, the nearest one first.

    >>> nearest("imbd", ["imdb", "parity"])
    'did you mean imdb? Known: imdb, parity'
    """
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}Known: {', '.join(known)}"
