"""Where a token stands: added to the embedding, turned into Q and K, or subtracted from the scores.

Without any of these an encoder is permutation equivariant: it sees a bag of tokens. A model without positions
uses torch.nn.Identity in place of the modules that map x to x + p.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoids(tokens: int, d_model: int) -> Float[Tensor, "{tokens} {d_model}"]:
    """p[t, 2i] = sin(t / 10000^(2i / d_model)),  p[t, 2i + 1] = cos(t / 10000^(2i / d_model)), in float64.

    t counts from 0. An odd d_model drops the last cosine.
    float32 would be off by 4e-4 at position 4999: the angle is large and its error absolute.

    Source: Vaswani et al. 2017, section 3.5.
    """
    position = torch.arange(tokens, dtype=torch.float64)
    even = torch.arange(0, d_model, 2, dtype=torch.float64)
    angle = position[:, None] * torch.exp(even * (-math.log(10000.0) / d_model))
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :d_model]


def rotations(tokens: int, d_head: int, base: float) -> Float[Tensor, "2 {tokens} {d_head}//2"]:
    """The cosines and the sines of w = t / base^(2i / d_head), i = 0 ... d_head/2 - 1, in float64.

    t counts from 0. Source: Su et al. 2021 (RoFormer), section 3.2.2.
    """
    position = torch.arange(tokens, dtype=torch.float64)
    even = torch.arange(0, d_head, 2, dtype=torch.float64)
    angle = position[:, None] * torch.exp(even * (-math.log(base) / d_head))
    return torch.stack((angle.cos(), angle.sin()))


@lru_cache(maxsize=64)
def _cached_table(
    formula: Callable[..., Tensor], sizes: tuple, device: torch.device, dtype: torch.dtype
) -> Tensor:
    # A table first made under inference_mode would be an inference tensor, which training cannot save.
    with torch.inference_mode(False), torch.no_grad():
        return formula(*sizes).to(device=device, dtype=dtype)


def rounded_table(formula: Callable[..., Tensor], sizes: tuple, like: Tensor) -> Tensor:
    """`formula(*sizes)`, rounded once to the dtype of `like`, remembered between calls.

    Not a buffer: module.float() and then .double() would keep the rounding of the first.
    """
    if torch.compiler.is_compiling():  # a traced tensor must not stay behind in the cache
        return formula(*sizes).to(device=like.device, dtype=like.dtype)
    return _cached_table(formula, sizes, like.device, like.dtype)


def _constant(
    formula: Callable[..., Tensor], sizes: tuple, device: torch.device, dtype: torch.dtype
) -> Tensor:
    return _cached_table(formula, sizes, device, dtype)


# All that torch.compiler.assume_constant_result does, but for importing the compiler, which takes seconds.
_constant._dynamo_marked_constant = True  # pyrefly: ignore[missing-attribute]


def fixed_table(formula: Callable[..., Tensor], sizes: tuple, like: Tensor) -> Tensor:
    """As `rounded_table`, for sizes that do not depend on the input: to a compiler it is a constant.

    Traced, the formula would be computed anew at each call, on the CPU, and go from there to the accelerator.
    """
    if torch.compiler.is_dynamo_compiling():
        return _constant(formula, sizes, like.device, like.dtype)
    return rounded_table(formula, sizes, like)


def _table(formula: Callable[..., Tensor], tokens: int, sizes: tuple, like: Tensor, first: int = 0) -> Tensor:
    """`tokens` rows of such a table, from `first` on."""
    rows = first + tokens
    if not torch.compiler.is_compiling():
        # Powers of two, so that batches of many lengths share one table.
        rows = max(64, 1 << (rows - 1).bit_length())
    return rounded_table(formula, (rows, *sizes), like).narrow(-2, first, tokens)


class SinusoidalPositions(nn.Module):
    """y[b, t] = x[b, t] + p[t] with the sinusoids p of `sinusoids`: fixed, for any number of tokens.

    x, y: (batch tokens d_model). No parameters. Sines and cosines take turns, column by column, as in the
    paper; some code puts all sines before all cosines, which trains as well but is another layout.

    Source: Vaswani et al. 2017, section 3.5. Deviation: an odd d_model is allowed.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model

    def forward(
        self, x: Float[Tensor, "batch tokens d_model"], first: int = 0
    ) -> Float[Tensor, "batch tokens d_model"]:
        """first: the position of the first of these tokens; they follow others where a cache holds those."""
        return x + _table(sinusoids, x.shape[1], (self.d_model,), x, first)


class LearnedPositions(nn.Module):
    """y[b, t] = x[b, t] + P[t], with P of shape (max_tokens d_model) learned.

    x, y: (batch tokens d_model), tokens <= max_tokens. P starts at N(0, std^2).
    Raises ValueError for more than max_tokens tokens: P has no row for them.

    Source: Gehring et al. 2017, section 3.1; std 0.02 as in BERT (Devlin et al. 2019) and its code.
    """

    def __init__(self, d_model: int, max_tokens: int, *, std: float = 0.02) -> None:
        super().__init__()
        self.embedding = nn.Embedding(max_tokens, d_model)
        nn.init.normal_(self.embedding.weight, std=std)

    def forward(
        self, x: Float[Tensor, "batch tokens d_model"], first: int = 0
    ) -> Float[Tensor, "batch tokens d_model"]:
        """first: the position of the first of these tokens; they follow others where a cache holds those."""
        tokens, max_tokens = first + x.shape[1], self.embedding.num_embeddings
        if tokens > max_tokens:
            raise ValueError(
                f"tokens={tokens} is more than max_tokens={max_tokens}; shorten the input "
                f"or build LearnedPositions with max_tokens={tokens} or more"
            )
        # Looking up 0, 1, 2, ... is slicing; the slice saves the gather and its scattered gradient.
        return x + self.embedding.weight[first:tokens]


class RotaryPositions(nn.Module):
    """Rotates each pair of components of Q and K by an angle proportional to the position.

    (a, b) -> (a cos w - b sin w, b cos w + a sin w),  w = t / base^(2i / d_head),  i = 0 ... d_head/2 - 1,
    so that q_m . k_n depends on the position only through m - n.

    q, k: (batch heads tokens d_head), both of one sequence: rotary positions act in self-attention only.
    No parameters. Values are not rotated.
    Raises ValueError for an odd d_head: its components cannot be paired.

    Source: Su et al. 2021 (RoFormer), section 3.2.2, equation 34. Deviation: the paper pairs neighbours,
    (q_2i, q_2i+1); we pair the halves, (q_i, q_(i + d_head/2)), as transformers does ('rotate_half'). The two
    differ by a permutation of the columns of W_Q and W_K: either trains, but checkpoints must agree.
    """

    def __init__(self, d_head: int, *, base: float = 10000.0) -> None:
        super().__init__()
        if d_head % 2:
            choices = f"{d_head - 1} or {d_head + 1}" if d_head > 1 else "2"
            raise ValueError(f"d_head={d_head} is odd, but rotary positions rotate pairs; choose {choices}")
        self.d_head = d_head
        self.base = float(base)

    def forward(
        self,
        q: Float[Tensor, "batch heads tokens d_head"],
        k: Float[Tensor, "batch heads tokens d_head"],
        first: int = 0,
    ) -> tuple[Float[Tensor, "batch heads tokens d_head"], Float[Tensor, "batch heads tokens d_head"]]:
        """first: the position of the first of these tokens; they follow others where a cache holds those."""
        cos, sin = _table(rotations, q.shape[2], (self.d_head, self.base), q, first)
        return rotate(q, cos, sin), rotate(k, cos, sin)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """(a, b) -> (a cos - b sin, b cos + a sin), where a and b are the halves of x's features."""
    if (
        torch.compiler.is_compiling()
    ):  # a compiler fuses the formula, and cannot trace what writes into halves
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
    return _Rotation.apply(x, cos, sin)


class _Rotation(torch.autograd.Function):
    """Its gradient is the rotation back; autograd of the formula would pass over the features more often."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        y = torch.empty_like(x)
        (a, b), (y_a, y_b) = x.chunk(2, dim=-1), y.chunk(2, dim=-1)
        torch.mul(a, cos, out=y_a).addcmul_(b, sin, value=-1)
        torch.mul(b, cos, out=y_b).addcmul_(a, sin)
        return y

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, None, None]:  # pyrefly: ignore[bad-override]
        cos, sin = ctx.saved_tensors
        return _Rotation.apply(d_y, cos, -sin), None, None


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """m_h = 2^(-8h / heads), h = 1 ... heads, where `heads` is a power of two.

    Otherwise, as in the authors' code (the paper leaves it open): the slopes of the largest power of two n
    below, then every other slope of 2n heads until there are enough.

    Source: Press et al. 2022, section 3; github.com/ofirpress/attention_with_linear_biases, `get_slopes`.
    """

    def geometric(n: int) -> list[float]:
        return [2.0 ** (-8.0 * h / n) for h in range(1, n + 1)]

    n = 1 << (heads.bit_length() - 1)
    return tuple(geometric(n) + geometric(2 * n)[0::2][: heads - n])


@dataclass(frozen=True)
class AlibiBias:
    """bias[h, i, j] = -m_h |i - j|, added to the scores: the further a key, the less it counts.

    An attention function takes this object as its `bias` and materialises what it needs of it.
    i and j are positions in one sequence, so ALiBi acts in self-attention only. Slopes: `alibi_slopes`.
    Raises ValueError for fewer than one head.

    Source: Press et al. 2022, section 3. Deviation: the paper's decoder has j <= i; an encoder looks both
    ways, hence the absolute value.
    """

    heads: int

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise ValueError(f"heads={self.heads} is not a number of heads; choose 1 or more")

    def dense(
        self,
        queries: int,
        keys: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Float[Tensor, "1 {self.heads} {queries} {keys}"]:
        """The whole bias, (1, heads, queries, keys); in float64, exact, unless a dtype is given."""
        return self.tile(slice(0, queries), slice(0, keys), device, dtype)

    def tile(
        self,
        queries: slice,
        keys: slice,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> Float[Tensor, "1 {self.heads} _queries _keys"]:
        """The block of `dense` at these queries and keys (slices with explicit start and stop, step 1)."""
        rows = torch.arange(queries.start, queries.stop, device=device)
        columns = torch.arange(keys.start, keys.stop, device=device)
        slopes = torch.tensor(alibi_slopes(self.heads), device=device, dtype=dtype or torch.float64)
        # Distances are integers until here: half precision could not count past 2048 (bfloat16: 256).
        return (-(rows[:, None] - columns).abs() * slopes[:, None, None])[None]
