"""Examples: positions, patches, pooling, targets."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from glassformer.checking.example_sides import Sides, floats, table

IMAGE = torch.arange(16).reshape(4, 4)
TOKENS = ("<bos>", "the", "cat", "sat")


def sinusoids(positions: Tensor, d_model: int, exponent: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """(positions, d_model): sin and cos of position / 10000^(2i / d_model), alternating."""
    column = torch.arange(d_model, dtype=torch.float64)
    power = 2 * (column // 2) / d_model if exponent is None else exponent(column)
    angle = positions[:, None] / 10000**power
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())


def _table(start: int = 0) -> Tensor:
    return torch.arange(start, start + 3, dtype=torch.float64)


POWERS: dict[str, Callable[[Tensor], Tensor]] = {
    "sinusoid-exponent-doubled": lambda column: 4 * (column // 2) / 6,
    "sinusoid-exponent-halved": lambda column: (column // 2) / 6,
    "sinusoid-exponent-unpaired": lambda column: column / 6,
    "sinusoid-other-base": lambda column: 2 * (column // 2) / 6 * 3 / 4,
}
"""Slug -> the exponent of 10000; 1000 is 10000 to the power of 3/4."""


def _exponent(slug: str) -> Sides:
    at = torch.tensor([1.0, 10, 100], dtype=torch.float64)
    wrong = sinusoids(at, 6, POWERS[slug])
    what = "positions 1, 10 and 100, a row each; d_model = 6"
    return Sides(what, table(sinusoids(at, 6)), table(wrong))


def _concatenated() -> Sides:
    right = sinusoids(_table(), 4)
    wrong = torch.cat([right[:, 0::2], right[:, 1::2]], dim=1)
    return Sides("positions 0, 1, 2, a row each; d_model = 4", table(right), table(wrong))


def _exchanged() -> Sides:
    right = sinusoids(_table(), 4)
    wrong = right.reshape(3, 2, 2).flip(-1).reshape(3, 4)
    return Sides("positions 0, 1, 2, a row each; d_model = 4", table(right), table(wrong))


def _first_rows() -> Tensor:
    return sinusoids(_table(), 4)


def _added(wrong: Tensor) -> Sides:
    what = "three tokens, each [1 1 1 1], at the positions 0, 1, 2; what comes out"
    right = 1 + _first_rows()
    return Sides(what, table(right), table(wrong.expand(3, 4)))


def _pixel_order() -> Sides:
    """(channels, rows, columns) of one patch."""
    patch = torch.tensor([[[11, 12], [13, 14]], [[21, 22], [23, 24]]])
    what = "a patch of 2 x 2 pixels, two channels, 23 is pixel 3 of channel 2; the patch as one row"
    return Sides(what, table(patch.flatten(), 0), table(patch.permute(1, 2, 0).flatten(), 0))


def _start() -> Sides:
    right, wrong = (table(sinusoids(_table(start), 4)) for start in (0, 1))
    return Sides("the first three rows of the table, d_model = 4", right, wrong)


def _odd() -> Sides:
    angle = sinusoids(_table(), 6, lambda column: 2 * (column // 2) / 5)
    what = "positions 0, 1, 2, a row each; d_model = 5: a sixth column does not fit, or torch raises"
    return Sides(what, table(sinusoids(_table(), 5)), table(angle))


def _length_first() -> Sides:
    def numbers(axis: int) -> str:
        x = torch.zeros(2, 3, dtype=torch.int64)
        place = torch.arange(x.shape[axis])
        return table(x + (place if axis else place[:, None]), 0, ["sequence 1", "sequence 2"])

    return Sides("which position each of three tokens gets, in two sequences", numbers(1), numbers(0))


def patchify(image: Tensor, size: int) -> Tensor:
    """(patches, size * size), the patches row by row."""
    across = image.shape[1] // size
    return image.reshape(-1, size, across, size).permute(0, 2, 1, 3).reshape(-1, size * size)


def _patches(slug: str) -> Sides:
    wrong = {
        "patchify-by-view": IMAGE.reshape(4, 4),
        "patchify-strided": IMAGE.reshape(2, 2, 2, 2).permute(1, 3, 0, 2).reshape(4, 4),
        "patches-by-columns": IMAGE.reshape(2, 2, 2, 2).permute(2, 0, 1, 3).reshape(4, 4),
    }[slug]
    names = [f"patch {number}" for number in range(1, 5)]
    what = "an image of 4 x 4 pixels, numbered 0 to 15 row by row; its patches of 2 x 2"
    return Sides(what, table(patchify(IMAGE, 2), 0, names), table(wrong, 0, names))


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
        "pooling-not-divided": (x * real[:, None]).sum(0),
        "pooling-one-too-far": x[:3].mean(0),
    }[slug]
    what = "two words [2 4], [4 8] and two places of padding [9 9]; the mean"
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
    **{slug: (lambda slug=slug: _exponent(slug)) for slug in POWERS},
    "sines-concatenated": _concatenated,
    "sines-and-cosines-swapped": _exchanged,
    "positions-forgotten": lambda: _added(torch.tensor([1.0, 1, 1, 1])),
    "input-scaled": lambda: _added(2 + _first_rows()),
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
