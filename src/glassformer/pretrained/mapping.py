"""Tensors of a checkpoint into a model of ours, and of a model of ours into a checkpoint."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from glassformer.errors import DataError
from glassformer.pretrained.checkpoint import Checkpoint, Stored
from glassformer.pretrained.tables import LAYOUTS, TIED, Layout, Place, Table, place_of

FLOATING = ("F64", "F32", "F16", "BF16")
SHOWN = 8
"""Names that a message lists; the rest is counted."""


@dataclass(frozen=True)
class Plan:
    """Which tensors go where. places: ours -> theirs. missing, unexpected: of theirs. misfits: in words."""

    places: dict[str, Place]
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What does not fit, by name."""
        return [
            f"{what} {_listed(names)}"
            for what, names in (
                ("missing:", self.missing),
                ("not expected:", self.unexpected),
                ("of another kind:", self.misfits),
            )
            if names
        ]

    def require_whole(self, folder: Path) -> None:
        """Raises DataError that names what does not fit."""
        if faults := self.faults():
            raise DataError(f"the weights of {folder} do not fit its config.json; {'; '.join(faults)}")


def plan(
    checkpoint: Checkpoint,
    architecture: str,
    ours: Mapping[str, Tensor],
    heads: Table,
    others: tuple[Table, ...] = (),
) -> Plan:
    """How the tensors of ours are filled. ours: name -> tensor, of which the shape counts.

    heads: of the tensors that do not belong to the encoder, those to be filled. others: of heads that the
    checkpoint may have and nobody asks for.
    """
    layout = LAYOUTS[architecture]
    prefix = prefix_of(checkpoint, architecture)
    result = Plan({})
    known = _spelled(checkpoint.tensors)
    used: set[str] = set()
    for name, tensor in ours.items():
        if (place := where(name, layout, prefix, heads)) is None:
            result.missing.append(f"what becomes {name}")
            continue
        used.update(place.names)
        result.places[name] = Place(tuple(known.get(each, each) for each in place.names), place.transposed)
        absent = [each for each in place.names if each not in known]
        result.missing.extend(absent)
        if not absent and (misfit := _misfit(place, checkpoint.tensors, known, tensor)):
            result.misfits.append(misfit)
    tied = TIED.get(architecture)
    for name in known:
        bare = name.removeprefix(layout.prefix)
        if name in used or name == tied or any(re.fullmatch(each, bare) for each in layout.unused):
            continue
        if any(_belongs(name, table) for table in others):
            continue
        result.unexpected.append(name)
    return result


def where(ours: str, layout: Layout, prefix: str, heads: Table) -> Place | None:
    """The tensors of theirs that one of ours is made of; None for one that is new."""
    if (place := place_of(ours, heads)) is not None:
        return place
    place = place_of(ours.removeprefix("encoder."), layout.encoder)
    return None if place is None else Place(tuple(prefix + name for name in place.names), place.transposed)


def prefix_of(checkpoint: Checkpoint, architecture: str) -> str:
    """What the names of the encoder's tensors begin with: nothing, where the encoder alone was saved."""
    prefix = LAYOUTS[architecture].prefix
    return prefix if any(name.startswith(prefix) for name in checkpoint.tensors) else ""


def read(checkpoint: Checkpoint, wanted: Plan, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors, filled; in our number format. Raises DataError for one that holds no numbers."""
    by_file: dict[Path, list[str]] = {}
    for place in wanted.places.values():
        for name in place.names:
            by_file.setdefault(checkpoint.tensors[name].file, []).append(name)
    raw: dict[str, Tensor] = {}
    for file, names in by_file.items():
        try:
            with safe_open(file, framework="pt") as opened:
                raw |= {name: opened.get_tensor(name) for name in names}
        except (OSError, SafetensorError) as error:
            raise DataError(f"{file} could not be read ({error}); fetch it again") from error
    for name, tensor in raw.items():
        if not torch.isfinite(tensor).all():
            raise DataError(f"{checkpoint.tensors[name].file} holds {name} with values that are no numbers")
    return {
        name: _joined([raw[each] for each in place.names], place)
        .reshape(ours[name].shape)
        .to(ours[name].dtype)
        for name, place in wanted.places.items()
    }


def written(model: nn.Module, architecture: str, heads: Table) -> dict[str, Tensor]:
    """The model's tensors under the names that a checkpoint of this architecture has, with its prefix."""
    layout = LAYOUTS[architecture]
    theirs: dict[str, Tensor] = {}
    for name, tensor in model.state_dict().items():
        if (place := where(name, layout, layout.prefix, heads)) is None:
            raise DataError(f"{architecture} has no place for {name}")
        whole = tensor.detach().cpu()
        parts = (whole.T if place.transposed else whole).chunk(len(place.names))
        theirs |= {each: part.contiguous().clone() for each, part in zip(place.names, parts, strict=True)}
    return theirs


def _joined(parts: list[Tensor], place: Place) -> Tensor:
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    return whole.T if place.transposed else whole


def _misfit(
    place: Place, tensors: Mapping[str, Stored], known: Mapping[str, str], ours: Tensor
) -> str | None:
    """What is wrong with the shapes, in words."""
    shapes = [tensors[known[name]].shape for name in place.names]
    for name in place.names:
        if (dtype := tensors[known[name]].dtype) not in FLOATING:
            return f"{name} is {dtype}, which are no weights"
    wanted = tuple(ours.shape)
    if place.transposed:
        wanted = wanted[::-1]
    elif len(place.names) > 1:
        wanted = (wanted[0] // len(place.names), *wanted[1:])
    for name, shape in zip(place.names, shapes, strict=True):
        if _without_ones(shape) != _without_ones(wanted) and not _convolution(shape, wanted):
            return f"{name} is {_as_sizes(shape)}, not {_as_sizes(wanted)}"
    return None


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _convolution(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a convolution's kernel, (out in height width), is the matrix, (out in*height*width)."""
    return len(shape) == 4 and len(wanted) == 2 and (shape[0], shape[1] * shape[2] * shape[3]) == wanted


def _spelled(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Today's name -> the one in the file. The first checkpoints said gamma and beta of a norm."""
    endings = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
    spelled = {}
    for name in tensors:
        today = name
        for old, new in endings:
            if name.endswith(old):
                today = name.removesuffix(old) + new
        if today in spelled:
            raise DataError(f"the weights hold {today} and, as it once was called, {name}; one is too many")
        spelled[today] = name
    return spelled


def _belongs(name: str, table: Table) -> bool:
    rows = [each for row in table.values() for each in ((row,) if isinstance(row, str) else row)]
    return any(
        name == row.removeprefix("= ") if row.startswith("= ") else name.rpartition(".")[0] == row
        for row in rows
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _as_sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "one number"
