"""The kinds of attention that can be judged: what each asks for."""

from dataclasses import dataclass

from glassformer.checking.attention import GRID, RIGHT, UNSCALED, Steps
from glassformer.checking.attention_mistakes import GRID as GRID_MISTAKES
from glassformer.checking.attention_mistakes import SCALED, Seeded


@dataclass(frozen=True)
class Kind:
    """A contract of attention. output: "needed", "open" or "none"; projected: has maps for Q, K and V."""

    slug: str
    title: str
    steps: Steps
    several_heads: bool = False
    projected: bool = True
    output: str = "needed"
    grid: bool = False
    extra: tuple[Seeded, ...] = ()


KINDS = {
    each.slug: each
    for each in (
        Kind("attention", "scaled dot-product attention", RIGHT, projected=False, output="none"),
        Kind(
            "parameter-free-self-attention", "parameter-free self-attention", UNSCALED,
            projected=False, output="none", extra=SCALED,
        ),
        Kind("self-attention", "single-head self-attention", RIGHT, output="open"),
        Kind("multi-head-attention", "multi-head attention", RIGHT, several_heads=True),
        Kind(
            "self-attention-2d", "self-attention over a grid", GRID,
            several_heads=True, output="open", grid=True, extra=GRID_MISTAKES,
        ),
    )
}  # fmt: skip
