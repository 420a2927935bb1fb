"""Who learns and who judges: stratified splits by a seed, and what they have in common."""

from collections.abc import Sequence

import numpy as np

from glassformer.errors import DataError

LETTERS = 40
"""Of a class's name, in a message."""
FEW_EXAMPLES = 100
"""With fewer to choose by, a reader is told."""


def stratified_split(
    labels: np.ndarray, share: float, seed: int, class_names: list[str], together: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Splits rows in two so that every class has about `share` of its rows in the second part.

    labels: (rows,) class numbers. together: a class's rows are drawn in runs of this many neighbours, for
    files in which neighbours have something in common that the test split does not share.
    Returns two sorted arrays of row numbers, (kept, held out). Every class with at least two rows has one on
    either side. Raises DataError for a class with a single row.
    """
    generator = np.random.default_rng(seed)
    held_out = []
    classes, sizes = np.unique(labels, return_counts=True)
    if len(single := classes[sizes < 2]):
        name = class_names[single[0]]
        name = repr(name if len(name) <= LETTERS else f"{name[:LETTERS]}...")
        which = f"the class {name} has 1 example left"
        remedy = ""
        if len(single) > 1:
            which = f"{len(single):,} of {len(classes):,} classes have 1 example left, such as {name}"
            remedy = "if these are not the labels, name their column with --data.label; "
        raise DataError(
            f"{which}, too few to hold one out; {remedy}give every class at least three "
            "examples, or give validation and test data of their own"
        )
    for label in classes:
        rows = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        runs = generator.permutation(-(-len(rows) // together))
        places = (runs[:, None] * together + np.arange(together)).ravel()
        held_out.append(rows[places[places < len(rows)][:count]])
    second = np.zeros(len(labels), dtype=bool)
    second[np.concatenate(held_out)] = True
    return np.flatnonzero(~second), np.flatnonzero(second)


def stratified_fraction(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Row numbers of a stratified sample that keeps `fraction` of the rows, at least one a class."""
    if fraction == 1:
        return np.arange(len(labels))
    generator = np.random.default_rng(seed)
    kept = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        kept.append(generator.permutation(rows)[: max(1, round(fraction * len(rows)))])
    return np.sort(np.concatenate(kept))


def few_examples(counts: Sequence[int], chosen: str) -> list[str]:
    """A note where so few validation examples choose, where they are fewest, that luck does.

    chosen: what they choose, as 'which epoch is best'.
    """
    fewest = min(counts, default=FEW_EXAMPLES)
    if fewest >= FEW_EXAMPLES:
        return []
    return [
        f"validation has {fewest} example{'s' * (fewest != 1)}, each worth {1 / fewest:.3f} of its "
        f"accuracy, so {chosen} may be luck; give it more, with --data.validation-share where it is held out"
    ]


def count_shared(first: np.ndarray, second: np.ndarray) -> int:
    """How many rows of `second` have a text that stands in `first` too. Both: (rows,) text hashes."""
    return int(np.isin(second, first).sum())


def draw_distinct(generator: np.random.Generator, below: int, count: int) -> np.ndarray:
    """(min(count, below),) distinct numbers under `below`, in random order."""
    if below <= 4 * count:
        return generator.permutation(below)[:count]
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < count:
        drawn = np.unique(np.concatenate([drawn, generator.integers(below, size=count)]))
    return generator.permutation(drawn)[:count]
