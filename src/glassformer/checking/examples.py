"""The smallest example of a mistake, with numbers: computed each time from the checker's own reference.

>>> print(example("scale-after-softmax"))
weights of one query over three keys; d_k = 4; scores 4, 2, 0
right                with this mistake
0.67 0.24 0.09       0.43 0.06 0.01
"""

from glassformer.checking.catalogue import entry
from glassformer.checking.example_sides import Sides

WIDTH = 90
TITLES = {
    "error": ("right", "with this mistake"),
    "convention": ("as others do it", "as it is here"),
    "contract": ("as it was asked for", "as it is here"),
}
"""Sort of a mistake -> what stands over the two blocks."""


def example(slug: str) -> str:
    """What is right and what the mistake makes of it, in at most eight lines; "" for an unknown mistake."""
    sides = sides_of(slug)
    if sides is None:
        return ""
    titles = TITLES[entry(slug).sort]
    left, right = sides.right.splitlines(), sides.wrong.splitlines()
    width = max(max(map(len, left)) + 6, 21)
    if width + max(map(len, right)) <= WIDTH:
        rows = max(len(left), len(right))
        pairs = zip(
            [titles[0], *left, *[""] * (rows - len(left))],
            [titles[1], *right, *[""] * (rows - len(right))],
            strict=True,
        )
        lines = [f"{one:{width}}{other}".rstrip() for one, other in pairs]
    else:
        lines = [titles[0], *(f"  {each}" for each in left), titles[1], *(f"  {each}" for each in right)]
    return "\n".join([sides.what, *lines])


def sides_of(slug: str) -> Sides | None:
    """The two blocks of numbers; None where there is no example: for the unknown."""
    from glassformer.checking import (
        examples_attention,
        examples_heads,
        examples_layers,
        examples_masks,
        examples_models,
        examples_numpy,
    )

    known = entry(slug)
    for room in (
        examples_attention, examples_heads, examples_masks, examples_layers, examples_models, examples_numpy,
    ):  # fmt: skip
        make = room.EXAMPLES.get(known.like or slug)
        if make is not None:
            return make()
    return None
