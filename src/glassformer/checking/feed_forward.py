"""Judges a feed-forward block: the checker's own one, and its known mistakes.

FFN(x) = a(x W1 + b1) W2 + b2        (Vaswani et al. 2017, 3.3, with a = ReLU; GELU since BERT)
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.exchange import Built
from glassformer.checking.feeding import Probe, Way, feed, sized
from glassformer.checking.names import FORWARD
from glassformer.checking.parts import Mistake, PartJudge, Reading, mistake

BATCH, TOKENS, D_MODEL, D_FF = 3, 5, 8, 20
Activation = Callable[[Tensor], Tensor]


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), Phi the distribution function of the normal distribution."""
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def tanh_gelu(x: Tensor) -> Tensor:
    """Its approximation by tanh (Hendrycks & Gimpel 2016)."""
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


ACTIVATIONS: dict[str, Activation] = {
    "ReLU": lambda x: x.clamp(min=0),
    "GELU": gelu,
    "tanh-GELU": tanh_gelu,
    "SiLU": lambda x: x * torch.sigmoid(x),
    "sigmoid-GELU": lambda x: x * torch.sigmoid(1.702 * x),
    "squared ReLU": lambda x: x.clamp(min=0) ** 2,
    "Mish": lambda x: x * torch.tanh(torch.nn.functional.softplus(x)),
    "ELU": torch.nn.functional.elu,
    "SELU": torch.selu,
    "softplus": torch.nn.functional.softplus,
    "leaky ReLU": lambda x: torch.where(x > 0, x, 0.01 * x),
    "ReLU6": lambda x: x.clamp(0, 6),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1),
    "none": lambda x: x,
}
USUAL = ("ReLU", "GELU", "tanh-GELU")
"""Right where no words say which."""
WORDS = (
    (r"squared relu|relu\W*(squared|\*\*\s*2|\^2)", "squared ReLU"),
    (r"leaky", "leaky ReLU"),
    (r"relu6", "ReLU6"),
    (r"(tanh|approx\w*)[^.\n]*gelu|gelu[^.\n]*(tanh|approx)", "tanh-GELU"),
    (r"gelu[^.\n]*(exact|error function|erf)|(exact|erf)[^.\n]*gelu", "GELU"),
    (r"\bgelu|gaussian error", "some GELU"),
    (r"\bselu", "SELU"),
    (r"silu|swish", "SiLU"),
    (r"\bmish", "Mish"),
    (r"\belu", "ELU"),
    (r"softplus", "softplus"),
    (r"\brelu|max\(\s*0|rectif", "ReLU"),
    (r"sigmoid", "sigmoid"),
    (r"\btanh", "tanh"),
)


@dataclass(frozen=True)
class FeedForward:
    """Which activation, and where; what is added to the output."""

    activation: Activation
    last: Activation = ACTIVATIONS["none"]
    biases: tuple[bool, bool] = (True, True)
    residual: bool = False

    def __call__(self, x: Tensor, first: "Linear", second: "Linear") -> Tensor:
        hidden = self.activation(first(x, self.biases[0]))
        output = self.last(second(hidden, self.biases[1]))
        return x + output if self.residual else output


@dataclass(frozen=True)
class Linear:
    """Parameters by name. turned: the matrix is (in, out), not as nn.Linear keeps it."""

    weight: str
    bias: str | None
    turned: bool
    values: Mapping[str, Tensor]

    def __call__(self, x: Tensor, biased: bool) -> Tensor:
        weight = self.values[self.weight]
        weight = weight.flatten(1) if weight.ndim > 2 else weight  # a convolution of width 1
        y = x @ (weight if self.turned else weight.T)
        return y + self.values[self.bias].flatten() if self.bias and biased else y


MISTAKES: tuple[Mistake, ...] = (
    *(mistake("missing-bias", biases=each) for each in ((False, True), (True, False), (False, False))),
    *(mistake("activation-after-last-layer", last=ACTIVATIONS[each]) for each in USUAL),
    mistake("residual-inside-feed-forward", residual=True),
)


def activation_said(text: str) -> str | None:
    """The activation that words name; "some GELU" where they do not say which one, "several" for more.

    >>> activation_said("FFN(x) = max(0, x W1 + b1) W2 + b2"), activation_said("exact GELU")
    ('ReLU', 'GELU')
    """
    found, text = [], text.lower()
    for pattern, name in WORDS:
        if re.search(pattern, text):
            found.append(name)
            text = re.sub(pattern, " ", text)
    if len(found) == 2 and found[1] == "some GELU" and "GELU" in found[0]:
        found.pop()
    return "several" if len(found) > 1 else found[0] if found else None


class FeedForwardJudge(PartJudge):
    """Builds it, with a hidden width where it takes one, and finds out which activation it has."""

    constructor = (
        sized("d_model"),
        sized("d_ff", "hidden|hidden_(units|dim|size)|num_hidden|n_hidden|inner_dim"),
        sized("dropout"),
        sized("bias"), feed("activation", "no name fits this"),
    )  # fmt: skip
    feeds = (feed("x", "|".join(FORWARD["x"])),)
    bank = MISTAKES

    def sizes(self) -> dict[str, Any]:
        return {"d_model": D_MODEL, "d_ff": D_FF, "dropout": 0.3, "bias": True, "activation": "relu"}

    def probes(self, way: Way) -> dict[str, Probe]:
        draw = np.random.default_rng(self.seed + 5)
        return {
            "several tokens": {"x": 2 * draw.standard_normal((BATCH, TOKENS, D_MODEL))},
            "one token": {"x": 2 * draw.standard_normal((1, 1, D_MODEL))},
        }

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.shape == probe["x"].shape

    def said(self) -> str | None:
        """By a docstring, a comment, the name, or an argument that the constructor was given."""
        defaults = [
            each.default
            for each in self.offer.arguments
            if "act" in each.name.lower() and isinstance(each.default, str)
        ]
        for text in (*defaults, self.code.words, self.offer.name):
            found = activation_said(text)
            if found:
                return found
        return None

    def readings(self, way: Way) -> Sequence[Reading]:
        said = self.said()
        found = []
        for first, second in _layers(way.built):
            for name, activation in ACTIVATIONS.items():
                mistakes, remarks = _judged(name, said)
                parameters = {"first layer": first[0], "second layer": second[0]}
                found.append(
                    Reading(
                        way, FeedForward(activation), context={"layers": (first, second)},
                        mistakes=mistakes, remarks=remarks,
                        found={"activation": name, "parameters": parameters},
                    )
                )  # fmt: skip
        return sorted(found, key=lambda each: (bool(each.mistakes), bool(each.remarks)))

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        first, second = (
            Linear(weight, bias, turned, values) for weight, bias, turned in reading.context["layers"]
        )
        return steps(torch.as_tensor(probe["x"]), first, second)

    def after(self, reading: Reading, right: bool) -> None:
        """A bias is missed where the signature or the words ask for one, or where one layer has one."""
        words = self.code.words.lower()
        asked = any(each.name.lower() in ("bias", "use_bias", "biases") for each in self.offer.arguments) or (
            re.search(r"\bb_?[12]\b|\bbias(es)?\b", words)
            and not re.search(r"\b(no|without|bias-free|bias=false)\b", words)
        )
        lacking = [each for each in reading.context["layers"] if each[1] is None]
        if lacking and asked:
            self.outcome.mistake("missing-bias")
        elif len(lacking) == 1:
            self.outcome.remark("missing-bias")


def _judged(name: str, said: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Mistakes and remarks of an activation against what the words name."""
    wrong = ("wrong-activation",)
    if said == name or (said in (None, "several") and name in USUAL):
        return (), ()
    if said == "some GELU" and "GELU" in name:
        return (), () if name == "GELU" else wrong
    if said == "tanh-GELU" and name == "GELU":
        return (), wrong
    if said in (None, "several") and name not in ("none", "sigmoid", "tanh", "softmax"):
        return (), wrong
    return wrong, ()


Layer = tuple[str, str | None, bool]


def _layers(built: Built) -> Iterator[tuple[Layer, Layer]]:
    """Pairs of matrices that map d_model to a hidden width and back, in the order of their names first."""
    matrices = [name for name, shape in built.parameters.items() if _matrix(shape)]
    for one, two in permutations(matrices, 2):
        for turned in (False, True):
            a, b = (built.parameters[each][:2][:: 1 if turned else -1] for each in (one, two))
            if a[0] == D_MODEL == b[1] and a[1] == b[0]:
                yield (
                    (one, _bias(built, one, a[1]), turned),
                    (two, _bias(built, two, D_MODEL, (one,)), turned),
                )


def _matrix(shape: tuple[int, ...]) -> bool:
    return len(shape) >= 2 and set(shape[2:]) <= {1}


def _bias(built: Built, weight: str, width: int, before: tuple[str, ...] = ()) -> str | None:
    """The vector of this width that stands nearest to the matrix, by its name or its place."""
    owner = weight.rpartition(".")[0]
    vectors = [
        name
        for name, shape in built.parameters.items()
        if int(np.prod(shape)) == width and not (_matrix(shape) and 1 not in shape)
    ]
    own = [each for each in vectors if owner and each.rpartition(".")[0] == owner]
    return (own or [each for each in vectors if not owner or "." not in each] or [None])[0]
