"""What a published model is, and whether it runs here: `glassformer inspect`."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from glassformer.errors import DataError
from glassformer.models.encoder_config import EncoderShape
from glassformer.pretrained.architectures import ARCHITECTURES, head_of
from glassformer.pretrained.loading import planned
from glassformer.pretrained.sources import Source, find

SIZES = ("layers", "heads", "d_model", "d_ff", "vocab", "max_tokens", "token_types", "norm", "causal",
         "activation", "eps", "patch", "channels", "height", "width")  # fmt: skip
HEADS = {
    "none": "none: hidden states",
    "classifier": "a classifier",
    "masked-lm": "a masked language model's",
    "causal-lm": "a causal language model's",
}


@dataclass(frozen=True)
class Inspection:
    """What was found. runs: whether it runs in our parts; faults: why not, or what else is amiss."""

    name: str
    architecture: str
    head: str
    sizes: dict[str, Any]
    parameters: int
    stored: dict[str, int]
    tokenizer: str | None
    runs: bool
    faults: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def inspect(name: str) -> Inspection:
    """Looks into a published model, or a run of `glassformer pretrain`, without loading it.

    Raises UsageError and DataError as `glassformer.pretrained.find` does.
    """
    source = find(name)
    faults, head, parameters, stored = [], "none", 0, {}
    if source.checkpoint is not None:
        try:
            head = head_of(source.checkpoint.config)
            model, plan = planned(source)
            parameters = sum(each.numel() for each in model.parameters())
            faults += plan.faults()
        except DataError as error:
            faults.append(str(error))
        for each in source.checkpoint.tensors.values():
            stored[each.dtype] = stored.get(each.dtype, 0) + math.prod(each.shape)
    tokenizer = None
    if isinstance(source.shape, EncoderShape):
        try:
            tokenizer = f"{source.tokenizer().get_vocab_size(with_added_tokens=True):,} tokens"
        except DataError as error:
            faults.append(str(error))
    return Inspection(
        name=source.name,
        architecture=title_of(source),
        head=HEADS[head],
        sizes={key: value for key, value in source.sizes.items() if key in SIZES and value != 0},
        parameters=parameters,
        stored=stored,
        tokenizer=tokenizer,
        runs=not faults,
        faults=faults,
    )


def title_of(source: Source) -> str:
    """The architecture for people."""
    if source.checkpoint is None:
        return "an encoder of glassformer pretrain"
    return ARCHITECTURES[source.architecture].title


def as_lines(found: Inspection) -> list[str]:
    """The same for people."""
    rows = [("model", found.name), ("architecture", found.architecture), ("head", found.head)]
    rows += [(name, f"{value}") for name, value in found.sizes.items()]
    if found.parameters:
        rows.append(("parameters", f"{found.parameters:,}"))
    if found.stored:
        rows.append(
            ("stored", ", ".join(f"{count:,} numbers as {kind}" for kind, count in found.stored.items()))
        )
    if found.tokenizer:
        rows.append(("tokeniser", found.tokenizer))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    lines.append("it runs here" if found.runs else "it does not run here: " + "; ".join(found.faults))
    return lines
