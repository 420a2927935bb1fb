"""The first step that differs is found whatever the layout, and loops over heads are seen through."""

import pytest
import torch

from glassformer.checking.attention import Sizes, Weights, attend
from glassformer.checking.localise import localise
from glassformer.checking.runner import Runner

WHOLE = """
def attention(q, k, v):
    s = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    w = s.softmax(-1){weights}
    c = w @ v{context}
    return c{output}
"""


@pytest.mark.parametrize(
    ("change", "right", "line", "differs"),
    [
        ({"weights": " ** 2"}, "weights", 4, "context"),
        ({"weights": "\n    w = w ** 2"}, "weights", 4, "context"),
        ({"output": " * 2"}, "context", 5, "output"),
    ],
)
def test_the_first_step_that_differs(change: dict[str, str], right: str, line: int, differs: str) -> None:
    runner = Runner()
    (offer,) = runner.load(WHOLE.format(**{"weights": "", "context": "", "output": "", **change}), "f.py")
    built = runner.build(offer.name)
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 5, 4, dtype=torch.float64) for _ in range(3))
    steps = runner.call(built.handle, [each.numpy() for each in (q, k, v)], steps=True).steps
    seen: dict[str, torch.Tensor] = {}
    attend((q, k, v), Weights(), Sizes(4, 1, 4), seen=seen)
    place = localise(steps, {name: each.numpy() for name, each in seen.items()})
    assert (place.right, place.line, place.differs) == (right, line, differs)
