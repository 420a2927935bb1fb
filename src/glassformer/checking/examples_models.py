"""Examples: positions, patches, pooling, targets."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from glassformer.checking.example_sides import Sides, floats, table
from glassformer.checking.parts import with_mistakes
from glassformer.checking.patches import MISTAKES as CUTTING
from glassformer.checking.patches import Cut
from glassformer.checking.positions import SINUSOID, Sinusoid

IMAGE = torch.arange(16).reshape(4, 4)
TOKENS = ("<bos>", "the", "cat", "sat")


def sinusoids(d_model: int, *slugs: str, rows: Sequence[int] = (0, 1, 2)) -> Tensor:
    """These rows of the table, of the right one or of one with mistakes."""
    return with_mistakes(Sinusoid(), SINUSOID, *slugs).table(max(rows) + 1, d_model)[list(rows)]


def _exponent(slug: str) -> Sides:
    at = (1, 10, 100)
    what = "positions 1, 10 and 100, a row each; d_model = 6"
    return Sides(what, table(sinusoids(6, rows=at)), table(sinusoids(6, slug, rows=at)))


def _layout(slug: str) -> Sides:
    what = "positions 0, 1, 2, a row each; d_model = 4"
    return Sides(what, table(sinusoids(4)), table(sinusoids(4, slug)))


def _added(wrong: Tensor) -> Sides:
    what = "three tokens, each [1 1 1 1], at the positions 0, 1, 2; what comes out"
    right = 1 + sinusoids(4)
    return Sides(what, table(right), table(wrong.expand(3, 4)))


def _pixel_order() -> Sides:
    """(channels, rows, columns) of one patch."""
    patch = torch.tensor([[[11, 12], [13, 14]], [[21, 22], [23, 24]]])
    what = "a patch of 2 x 2 pixels, two channels, 23 is pixel 3 of channel 2; the patch as one row"
    return Sides(what, table(patch.flatten(), 0), table(patch.permute(1, 2, 0).flatten(), 0))


def _start() -> Sides:
    right, wrong = (table(sinusoids(4, *slugs)) for slugs in ((), ("positions-start-at-1",)))
    return Sides("the first three rows of the table, d_model = 4", right, wrong)


def _odd() -> Sides:
    six = replace(Sinusoid(), exponent=lambda column, pair, d: 2 * pair / 5).table(3, 6)
    what = "positions 0, 1, 2, a row each; d_model = 5: a sixth column does not fit, or torch raises"
    return Sides(what, table(sinusoids(5)), table(six))


def _length_first() -> Sides:
    def numbers(axis: int) -> str:
        x = torch.zeros(2, 3, dtype=torch.int64)
        place = torch.arange(x.shape[axis])
        return table(x + (place if axis else place[:, None]), 0, ["sequence 1", "sequence 2"])

    return Sides("which position each of three tokens gets, in two sequences", numbers(1), numbers(0))


def patchify(image: Tensor, size: int, *slugs: str) -> Tensor:
    """(patches, size * size), the patches row by row; or with mistakes."""
    return with_mistakes(Cut(), CUTTING, *slugs)(image[None, None], (size, size))[0]


def _patches(slug: str) -> Sides:
    names = [f"patch {number}" for number in range(1, 5)]
    what = "an image of 4 x 4 pixels, numbered 0 to 15 row by row; its patches of 2 x 2"
    right, wrong = (table(patchify(IMAGE, 2, *slugs), 0, names) for slugs in ((), (slug,)))
    return Sides(what, right, wrong)


def _cls_position() -> Sides:
    cls, words = torch.tensor([10]), torch.tensor([20, 30])
    positions = torch.tensor([1, 2, 3])
    what = "CLS = 10, words = 20, 30; positions 1, 2, 3 are added"
    right = torch.cat([cls, words]) + positions
    return Sides(what, table(right, 0), table(torch.cat([cls, words + positions[:2]]), 0))


def _cls_place() -> Sides:
    tokens = ["CLS", "the", "cat", "<pad>"]
    return Sides("the tokens are CLS, the, cat, <pad>; what is read", tokens[0], tokens[-1])


def mean_over_real(x: Tensor, real: Tensor) -> Tensor:
    return (x * real[:, None]).sum(0) / real.sum()


def _pooling(slug: str) -> Sides:
    x, real = floats([2, 4], [4, 8], [9, 9], [9, 9]), torch.tensor([1, 1, 0, 0])
    wrong = {
        "pooling-counts-padding": x.mean(0),
        "pooling-divides-by-length": (x * real[:, None]).sum(0) / len(x),
        "pooling-divides-by-batch": (x * real[:, None]).sum(0) / 5,
        "pooling-not-divided": (x * real[:, None]).sum(0),
        "pooling-one-too-far": x[:3].mean(0),
    }[slug]
    what = "two words [2 4], [4 8] and two places of padding [9 9]; the mean"
    if slug == "pooling-divides-by-batch":
        what = what.replace("; the mean", " beside three words; the mean")
    return Sides(what, table(mean_over_real(x, real)), table(wrong))


def _shift(by: int) -> Sides:
    """What the model has seen last, and what it is asked for."""

    def asked(shift: int) -> str:
        pairs = zip(TOKENS, TOKENS[shift:], strict=False)
        return "\n".join(f"after {seen:5} comes {wanted}" for seen, wanted in pairs)

    return Sides("the sentence is <bos> the cat sat; what the loss asks for", asked(1), asked(by))


def _backwards() -> Sides:
    pairs = zip(TOKENS[1:], TOKENS, strict=False)
    asked = "\n".join(f"after {seen:5} comes {wanted}" for seen, wanted in pairs)
    right = _shift(1)
    return Sides(right.what, right.right, asked)


def _mean_for_cls() -> Sides:
    x = floats([1, 1], [5, 3], [6, 5])
    return Sides("CLS = [1 1], then the tokens [5 3], [6 5]; what is pooled", table(x[0]), table(x.mean(0)))


def _unused() -> Sides:
    what = "what comes out for x = 1, with a weight of 2, and of 3; a weight that has no effect"
    used, unused = table([[2, 3]], 0), table([[1, 1]], 0)
    return Sides(what, used, unused)


def _loss(mean: Callable[[Tensor], Tensor]) -> Sides:
    losses = -floats([0.9], [0.5], [0.1]).log().flatten()
    what = "a sequence of one token, probability 0.9, and one of two, 0.5 and 0.1; the loss"
    return Sides(what, f"{losses.mean():.2f}", f"{mean(losses):.2f}")


def _softmax_first() -> Sides:
    logits = floats([4, 0])
    target = torch.tensor([0])
    right, wrong = (functional.cross_entropy(each, target) for each in (logits, logits.softmax(-1)))
    return Sides("logits 4 and 0, the first is right; the loss", f"{right:.2f}", f"{wrong:.2f}")


def _loss_padding() -> Sides:
    probabilities = floats([0.5, 0.5], [0.5, 0.5], [0.01, 0.99], [0.01, 0.99])
    targets = torch.tensor([0, 0, 1, 1])
    log = probabilities.log()
    right = functional.nll_loss(log, targets, ignore_index=1)
    what = "two words predicted with probability 0.5, two places of padding with 0.99; the loss"
    return Sides(what, f"{right:.2f}", f"{functional.nll_loss(log, targets):.2f}")


EXAMPLES: dict[str, Callable[[], Sides]] = {
    **{
        slug: (lambda slug=slug: _exponent(slug))
        for slug in (
            "sinusoid-exponent-doubled",
            "sinusoid-exponent-halved",
            "sinusoid-exponent-unpaired",
            "sinusoid-other-base",
        )
    },
    **{
        slug: (lambda slug=slug: _layout(slug))
        for slug in ("sines-concatenated", "sines-and-cosines-swapped")
    },
    "positions-forgotten": lambda: _added(torch.tensor([1.0, 1, 1, 1])),
    "input-scaled": lambda: _added(2 + sinusoids(4)),
    "patch-pixel-order": _pixel_order,
    "positions-start-at-1": _start,
    "positions-odd-width": _odd,
    "positions-length-first": _length_first,
    **{
        slug: (lambda slug=slug: _patches(slug))
        for slug in ("patchify-by-view", "patchify-strided", "patches-by-columns")
    },
    "cls-without-position": _cls_position,
    "cls-from-wrong-place": _cls_place,
    **{
        slug: (lambda slug=slug: _pooling(slug))
        for slug in (
            "pooling-counts-padding",
            "pooling-divides-by-length",
            "pooling-divides-by-batch",
            "pooling-not-divided",
            "pooling-one-too-far",
        )
    },
    "mean-where-cls-is-meant": _mean_for_cls,
    "unused-parameter": _unused,
    "target-not-shifted": lambda: _shift(0),
    "target-shifted-twice": lambda: _shift(2),
    "target-shifted-backwards": _backwards,
    "loss-counts-padding": _loss_padding,
    "loss-not-averaged": lambda: _loss(lambda losses: losses.sum()),
    "loss-averaged-by-row": lambda: _loss(lambda losses: (losses[0] + losses[1:].mean()) / 2),
    "softmax-before-loss": _softmax_first,
}
