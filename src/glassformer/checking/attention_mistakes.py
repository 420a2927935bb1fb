"""The known mistakes of attention, each as the steps it does otherwise."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

import torch
from torch import Tensor

from glassformer.checking.attention import RIGHT, Masks, Sizes, Steps, causal_up_to, softmax


@dataclass(frozen=True)
class Seeded:
    """A mistake and the steps that make it. changed: the fields of `Steps` that it touches."""

    slug: str
    steps: Steps
    changed: frozenset[str]

    def on(self, base: Steps) -> Steps:
        """These steps changed by this mistake, the others as in `base`."""
        return replace(base, **{name: getattr(self.steps, name) for name in self.changed})


def _seeded(slug: str, **changes: object) -> Seeded:
    return Seeded(slug, replace(RIGHT, **changes), frozenset(changes))  # type: ignore[arg-type]


def _over(dim: int):
    return lambda scores: softmax(scores, dim)


def _split_by_view(y: Tensor, sizes: Sizes) -> Tensor:
    return y.reshape(y.shape[0], sizes.heads, y.shape[1], -1)


def _split_folded(y: Tensor, sizes: Sizes) -> Tensor:
    """The batch folded into the heads, read from (length, batch, features)."""
    return y.transpose(0, 1).reshape(y.shape[0], sizes.heads, y.shape[1], -1)


def _split_kept(y: Tensor, sizes: Sizes) -> Tensor:
    return y.reshape(*y.shape[:2], sizes.heads, -1)


def _split_interleaved(y: Tensor, sizes: Sizes) -> Tensor:
    return y.reshape(y.shape[0], y.shape[1], -1, sizes.heads).permute(0, 3, 1, 2)


def _merge_by_view(context: Tensor, sizes: Sizes) -> Tensor:
    return context.reshape(context.shape[0], context.shape[2], -1)


def _merge_folded(context: Tensor, sizes: Sizes) -> Tensor:
    """Batch times heads read as (length, batch, features)."""
    return context.reshape(context.shape[2], context.shape[0], -1).transpose(0, 1)


def _merge_heads_first(context: Tensor, sizes: Sizes) -> Tensor:
    """Heads times batch read as (batch, length, features)."""
    return context.transpose(0, 1).reshape(context.shape[0], context.shape[2], -1)


def _merge_kept(context: Tensor, sizes: Sizes) -> Tensor:
    return context.flatten(2)


def _merge_interleaved(context: Tensor, sizes: Sizes) -> Tensor:
    return context.permute(0, 2, 3, 1).flatten(2)


def _merge_swapped(context: Tensor, sizes: Sizes) -> Tensor:
    return context.transpose(2, 3).reshape(context.shape[0], context.shape[2], -1)


def _mean(context: Tensor, sizes: Sizes) -> Tensor:
    return context.mean(1)


def _mean_repeated(context: Tensor, sizes: Sizes) -> Tensor:
    return context.mean(1).repeat(1, 1, sizes.heads)


def _one_head(y: Tensor, sizes: Sizes) -> Tensor:
    return y[:, None]


def _root_of_all(scores: Tensor, sizes: Sizes) -> Tensor:
    return scores / math.sqrt(sizes.heads * sizes.d_head)


def _root_of_tokens(axis: int):
    return lambda scores, sizes: scores / math.sqrt(scores.shape[axis])


def _swapped_axes(x: Tensor, *_: object) -> Tensor:
    return x.transpose(0, 1)


def _length_first_by_view(x: Tensor) -> Tensor:
    return x.reshape(x.shape[1], x.shape[0], *x.shape[2:]).transpose(0, 1)


def _batch_first_by_view(output: Tensor, x: Tensor) -> Tensor:
    return output.transpose(0, 1).reshape(output.shape)


def _grid_by_view(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1, x.shape[1])


def _grid_back_by_view(output: Tensor, x: Tensor) -> Tensor:
    return output.reshape(x.shape)


def _columns_first(x: Tensor) -> Tensor:
    return x.transpose(2, 3).flatten(2).transpose(1, 2)


def _future(shift: int):
    def causal(masks: Masks, scores: Tensor) -> Tensor | None:
        return torch.ones(scores.shape[-2:], dtype=torch.bool).triu(shift) if masks.causal else None

    return causal


def _queries_padded(masks: Masks, scores: Tensor) -> Tensor | None:
    return None if masks.padding is None else masks.padding[:, None, :, None]


def _folded(masks: Masks, scores: Tensor) -> Tensor | None:
    if masks.padding is None:
        return None
    batch, heads, queries, keys = scores.shape
    return masks.padding.repeat(heads, 1).reshape(batch, heads, 1, keys).expand(-1, -1, queries, -1)


def _folded_heads_first(masks: Masks, scores: Tensor) -> Tensor | None:
    if masks.padding is None:
        return None
    batch, heads, queries, keys = scores.shape
    folded = masks.padding.repeat_interleave(heads, 0).reshape(heads, batch, 1, keys)
    return folded.transpose(0, 1).expand(-1, -1, queries, -1)


def _either(padding: Tensor | None, causal: Tensor | None) -> Tensor | None:
    if padding is None or causal is None:
        return causal if padding is None else padding
    return padding | causal


def _either_over_all(padding: Tensor | None, causal: Tensor | None) -> Tensor | None:
    """The padding OR-ed to a mask that hides nothing where there is no causal one."""
    return causal if padding is None or causal is None else padding | causal


def _sum(padding: Tensor | None, causal: Tensor | None) -> Tensor | None:
    if padding is None or causal is None:
        return causal if padding is None else padding
    return padding.double() + causal.double()


def _zeroed(shares: Tensor, allowed: Tensor | None, sizes: Sizes) -> Tensor:
    return shares if allowed is None else shares * allowed


def _values_as_output(shares: Tensor, v: Tensor) -> Tensor:
    """In the shape of the output, which they only fit where there are as many keys as queries."""
    return v.reshape(*shares.shape[:-1], v.shape[-1])


def _values_times_rows(shares: Tensor, v: Tensor) -> Tensor:
    return torch.einsum("...qk,...qd->...qd", shares, v)


def _nothing(*_: object) -> None:
    return None


def _core() -> Iterator[Seeded]:
    """What shows without a mask."""
    yield _seeded("no-scale", scale=lambda scores, sizes: scores)
    yield _seeded("scale-by-d-model", scale=lambda scores, sizes: scores / math.sqrt(sizes.d_model))
    yield _seeded("scale-by-d-k", scale=lambda scores, sizes: scores / sizes.d_head)
    for axis in (-1, -2):  # as many keys, or as many queries
        yield _seeded("scale-by-length", scale=_root_of_tokens(axis))
    yield _seeded("scale-multiplied", scale=lambda scores, sizes: scores * math.sqrt(sizes.d_head))
    yield _seeded(
        "scale-after-softmax",
        scale=lambda scores, sizes: scores,
        after=lambda shares, allowed, sizes: shares / math.sqrt(sizes.d_head),
    )
    yield _seeded(
        "scale-after-softmax",
        scale=lambda scores, sizes: scores,
        after=lambda shares, allowed, sizes: shares / sizes.d_head,
    )
    yield _seeded("softmax-over-queries", normalise=_over(-2))
    yield _seeded("softmax-over-heads", normalise=_over(1))
    yield _seeded("softmax-over-batch", normalise=_over(0))
    yield _seeded("softmax-twice", normalise=lambda scores: softmax(softmax(scores)))
    yield _seeded("no-softmax", normalise=lambda scores: scores)
    yield _seeded("log-softmax", normalise=lambda scores: torch.log_softmax(scores, -1))
    yield _seeded("attention-weights-transposed", mix=lambda shares, v: shares.mT @ v)
    yield _seeded("values-not-mixed", mix=lambda shares, v: v)
    yield _seeded("values-not-mixed", mix=_values_as_output)
    yield _seeded("values-not-mixed", mix=lambda shares, v: v[..., : shares.shape[-2], :])
    yield _seeded("values-not-mixed", mix=_values_times_rows)
    yield _seeded("values-not-mixed", mix=lambda shares, v: shares.sum(-2).unsqueeze(-1) * v)
    yield _seeded("q-k-swapped", roles=("k", "q", "v"))
    yield _seeded("q-k-swapped", sources=("k", "q", "v"))
    yield _seeded("q-k-swapped", sources=("k", "q", "v"), roles=("k", "q", "v"))
    yield _seeded("k-v-swapped", roles=("q", "v", "k"))
    yield _seeded("k-v-swapped", sources=("q", "v", "k"))
    yield _seeded("k-v-swapped", sources=("q", "v", "k"), roles=("q", "v", "k"))
    named = {("k", "q", "v"), ("q", "v", "k"), ("q", "k", "v")}
    for roles in product("qkv", repeat=3):
        if roles not in named:
            yield _seeded("wrong-projection", roles=roles)
            yield _seeded("wrong-projection", roles=roles, sources=roles)
    yield _seeded("cross-attends-to-itself", sources=("q", "q", "q"))
    yield _seeded("cross-attends-to-itself", sources=("q", "k", "q"))
    yield _seeded("cross-attends-to-itself", sources=("q", "q", "k"))
    yield _seeded("no-output-projection", output=False)
    for count in (1, 2, 3, 4):
        for lost in combinations("qkvo", count):
            yield _seeded("missing-bias", unbiased=lost)
            yield _seeded("weights-transposed", transposed=lost)
    yield _seeded("split-without-transpose", split=_split_by_view)
    yield _seeded("split-without-transpose", split=_split_by_view, merge=_merge_by_view)
    yield _seeded("split-without-transpose", split=_split_folded)
    yield _seeded("merge-without-transpose", merge=_merge_by_view)
    yield _seeded("merge-without-transpose", merge=_merge_swapped)
    yield _seeded("merge-without-transpose", merge=_merge_folded)
    yield _seeded("merge-without-transpose", merge=_merge_heads_first)
    yield _seeded("heads-attend-to-heads", split=_split_kept, merge=_merge_kept)
    yield _seeded("interleaved-heads", split=_split_interleaved)
    yield _seeded("interleaved-heads", split=_split_interleaved, merge=_merge_interleaved)
    yield _seeded("interleaved-heads", merge=_merge_interleaved)
    yield _seeded("heads-averaged", merge=_mean)
    yield _seeded("heads-averaged", merge=_mean_repeated)
    yield _seeded("one-big-head", split=_one_head, scale=_root_of_all)
    yield _seeded("one-big-head", split=_one_head)
    yield _seeded("batch-length-swapped", enter=_swapped_axes, leave=_swapped_axes)
    yield _seeded("batch-length-swapped", enter=_length_first_by_view, leave=_batch_first_by_view)
    yield _seeded("batch-length-swapped", leave=_batch_first_by_view)
    yield _seeded("batch-length-swapped", leave=_swapped_axes)


def _padding() -> Iterator[Seeded]:
    yield _seeded("padding-ignored", padding=_nothing)
    yield _seeded(
        "padding-inverted",
        padding=lambda masks, scores: None if masks.padding is None else ~masks.padding[:, None, None, :],
    )
    yield _seeded("padding-on-queries", padding=_queries_padded)
    yield _seeded("mask-folded-wrongly", padding=_folded)
    yield _seeded("mask-folded-wrongly", padding=_folded_heads_first)


def _causality() -> Iterator[Seeded]:
    yield _seeded("causal-forgotten", causal=_nothing)
    yield _seeded("causal-excludes-self", causal=causal_up_to(-1))
    yield _seeded("causal-one-too-far", causal=causal_up_to(1))
    yield _seeded("causal-transposed", causal=_future(0))
    yield _seeded("causal-transposed", causal=_future(1))


def _hiding() -> Iterator[Seeded]:
    """What is wrong with how any mask is put to use."""
    yield _seeded("mask-after-softmax", hide=lambda scores, allowed: scores, after=_zeroed)
    yield _seeded("mask-multiplied", hide=lambda scores, allowed: scores * allowed)
    yield _seeded("mask-multiplied", hide=lambda scores, allowed: scores.masked_fill(~allowed, 1e-9))
    yield _seeded("mask-multiplied", hide=lambda scores, allowed: scores.masked_fill(~allowed, 0.0))
    yield _seeded("mask-added", hide=lambda scores, allowed: scores + allowed.to(scores))
    yield _seeded("mask-added", hide=lambda scores, allowed: scores + allowed.to(scores), both=_sum)
    yield _seeded("mask-added", hide=lambda scores, allowed: scores + (~allowed).to(scores))


MINUS_1E9 = "filled-with-minus-1e9"
CORE: tuple[Seeded, ...] = tuple(_core())
PADDING: tuple[Seeded, ...] = tuple(_padding())
CAUSAL: tuple[Seeded, ...] = tuple(_causality())
HIDING: tuple[Seeded, ...] = tuple(_hiding())
COMBINED: tuple[Seeded, ...] = (
    _seeded("masks-or-ed", both=_either),
    _seeded("masks-or-ed", both=_either_over_all),
)
EMPTY_ROWS: tuple[tuple[str, Callable[[Steps], Steps]], ...] = (
    ("", lambda steps: steps),
    ("", lambda steps: replace(steps, normalise=lambda scores: steps.normalise(scores).nan_to_num(0.0))),
    (
        MINUS_1E9,
        lambda steps: replace(steps, hide=lambda scores, allowed: scores.masked_fill(~allowed, -1e9)),
    ),
    (MINUS_1E9, lambda steps: replace(steps, hide=lambda scores, allowed: scores + (~allowed) * -1e9)),
)
"""What becomes of a query that may attend to nothing: NaN, zeros, the mean of all keys, or no mask."""


def _built_in() -> Iterator[Seeded]:
    every = [each for each in CAUSAL if each.slug != "causal-forgotten"]
    yield from every
    for each in every:
        allowed = each.steps.causal(Masks(causal=True), torch.zeros(3, 3))
        if allowed is not None and not allowed.any(-1).all():
            for _, style in EMPTY_ROWS[1:]:
                yield Seeded(each.slug, style(each.steps), each.changed | {"hide", "normalise"})
    yield from HIDING


BUILT_IN: tuple[Seeded, ...] = tuple(_built_in())
"""Of a causal mask that the code makes itself; a query that it leaves nothing has every style of that."""
CONVENTIONS = frozenset({"interleaved-heads"})
"""Found in a module that is right otherwise, these are remarks."""


GRID: tuple[Seeded, ...] = (
    _seeded("grid-flattened-by-view", enter=_grid_by_view, leave=_grid_back_by_view),
    _seeded("grid-flattened-by-view", enter=_grid_by_view),
    _seeded("grid-flattened-by-view", leave=_grid_back_by_view),
    _seeded("grid-columns-first", enter=_columns_first),
)
SCALED: tuple[Seeded, ...] = (
    _seeded("scaled-where-none-is-meant", scale=RIGHT.scale),
    _seeded("scaled-where-none-is-meant", scale=lambda scores, sizes: scores / sizes.d_head),
)


def together(first: Seeded, second: Seeded, base: Steps) -> Steps | None:
    """Two mistakes in one module; None where they touch the same step."""
    return None if first.changed & second.changed else second.on(first.on(base))


THREE = ("attention-weights-transposed", "softmax-over-queries", "q-k-swapped")
"""Two of them at once are the third one, as long as nothing is masked."""
_TRANSPOSED, _OVER_QUERIES = (next(each.steps for each in CORE if each.slug == slug) for slug in THREE[:2])


def other_two(steps: Steps) -> Steps:
    """The same without masks, made by the other two of `THREE` where one of them is in these steps."""
    other = {"k": "q", "q": "k", "v": "v"}

    def exchanged(letters: tuple[str, str, str]) -> tuple[str, str, str]:
        one, two, three = (other[each] for each in letters)
        return one, two, three

    mix, normalise = _TRANSPOSED.mix, _OVER_QUERIES.normalise
    return replace(
        steps,
        mix=RIGHT.mix if steps.mix is mix else mix,
        normalise=RIGHT.normalise if steps.normalise is normalise else normalise,
        roles=exchanged(steps.roles),
        sources=exchanged(steps.sources),
    )
