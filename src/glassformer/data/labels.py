"""Classes by name and by number."""

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from glassformer.errors import DataError


def class_names_of(labels: list[str], path: Path, what: str) -> list[str]:
    """The classes, numbers by size, words by the alphabet. Raises DataError for fewer than two.

    what: what the labels belong to, for the message: texts, images.
    """
    names = set(labels)
    if len(names) < 2:
        raise DataError(f"{path} has one class only ({names.pop()!r}); give {what} of at least two classes")
    return in_order(names)


def number_labels(labels: list[str], class_names: list[str], path: Path) -> Int64[np.ndarray, " rows"]:
    """Class numbers. Raises DataError for a label that is none of the classes."""
    numbers = {name: number for number, name in enumerate(class_names)}
    try:
        return np.array([numbers[label] for label in labels], dtype=np.int64)
    except KeyError as error:
        label, what = error.args[0], "image" if path.is_dir() else "row"
        raise DataError(
            f"{path}: {what} {labels.index(label) + 1} has the label {label!r}, which training does not have "
            f"(it has {', '.join(class_names)}); correct the label or add training examples with it"
        ) from None


def named(words: list[str], class_names: list[str]) -> list[str]:
    """Labels that may also be the numbers of the classes, from 0, as public data sets have them."""
    names = {str(number): name for number, name in enumerate(class_names)}
    return [names.get(word, word) for word in words]


def in_order(names: set[str] | list[str]) -> list[str]:
    """Numbers by size where all are numbers, else by the alphabet."""
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)
