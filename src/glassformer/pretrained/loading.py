"""A published model, whole, in our parts; or its encoder in a model that is to be fine-tuned."""

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from glassformer.errors import DataError, UsageError
from glassformer.models.encoder import Encoder, EncoderClassifier
from glassformer.models.encoder_config import EncoderConfig, EncoderShape, PretrainedClassifierConfig
from glassformer.models.language_model import CausalLanguageModel, MaskedLanguageModel
from glassformer.models.vision_config import PretrainedVisionConfig, VisionShape
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.nn.grids import LearnedGridPositions
from glassformer.pretrained.architectures import ARCHITECTURES, Head, head_of
from glassformer.pretrained.checkpoint import WEIGHTS, read_json
from glassformer.pretrained.mapping import Plan, plan, prefix_of, read
from glassformer.pretrained.sources import Source, find
from glassformer.pretrained.tables import LAYOUTS, TIED, Table

PREPROCESSOR = "preprocessor_config.json"
"""How pixels were scaled in training; without it, to [-1, 1]."""

Model = Encoder | EncoderClassifier | MaskedLanguageModel | CausalLanguageModel | VisionTransformer


def load(name: str, *, dropout: float = 0.0) -> Model:
    """The published model with all its weights, in fp32 and in evaluation mode.

    name: see `glassformer.pretrained.find`. An `Encoder`, or what its config.json says stands on it: an
    `EncoderClassifier`, a `MaskedLanguageModel`, a `CausalLanguageModel`; of ViT a `VisionTransformer`.
    Raises UsageError and DataError as `find` does, and DataError where the weights do not fit.
    """
    source = find(name)
    checkpoint = source.checkpoint
    if checkpoint is None:
        raise UsageError(f"{name} is a run; open it with glassformer.load")
    model, wanted = planned(source, dropout)
    wanted.require_whole(source.folder)
    ours = model.state_dict()
    model.load_state_dict(read(checkpoint, wanted, ours), assign=True)
    return model.eval()


def planned(source: Source, dropout: float = 0.0) -> tuple[Model, Plan]:
    """The model of a checkpoint without weights, and which tensors are to fill it."""
    checkpoint = source.checkpoint
    assert checkpoint is not None
    head = head_of(checkpoint.config)
    with torch.device("meta"):
        model = build(source, head, _classes(checkpoint.config) if head == "classifier" else 0, dropout)
    layout = LAYOUTS[source.architecture]
    heads = {"classifier": layout.classifier, "masked-lm": layout.masked_lm}.get(head, {})
    made = plan(checkpoint, source.architecture, model.state_dict(), heads)
    if head in ("masked-lm", "causal-lm") and (misfit := _untied(source)):
        made.misfits.append(misfit)
    return model, made


def build(source: Source, head: Head, classes: int, dropout: float = 0.0) -> Model:
    """The model of a checkpoint with fresh weights."""
    shape = source.shape
    if isinstance(shape, VisionShape):
        vision = PretrainedVisionConfig(**asdict(shape), dropout=dropout, classes=classes or 1).as_vit()
        model = VisionTransformer(vision)
        if not classes:
            setattr(model, "head", nn.Identity())  # noqa: B010 - its type is that of a classifier's
        return model
    config = EncoderConfig(**asdict(shape), dropout=dropout)
    if head == "classifier":
        kind = ARCHITECTURES[source.architecture].head
        return EncoderClassifier(
            PretrainedClassifierConfig(
                **asdict(shape), dropout=dropout, pool="cls", head=kind, classes=classes
            )
        )
    return {"none": Encoder, "masked-lm": MaskedLanguageModel, "causal-lm": CausalLanguageModel}[head](config)


def start_from(model: EncoderClassifier | VisionTransformer, source: Source) -> list[str]:
    """Puts a published encoder into a model with another head; returns the names of what stays fresh.

    A classifier with a dense layer starts with that of the checkpoint, where it has one of the same kind.
    Of a vision transformer for another image size the learned positions are interpolated.
    Raises DataError where the weights do not fit.
    """
    ours = dict(model.state_dict())
    filled = _of_run(source, ours) if source.checkpoint is None else _of_checkpoint(source, model, ours)
    model.load_state_dict(ours | filled)
    return [name for name in ours if name not in filled]


def _of_checkpoint(source: Source, model: nn.Module, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    checkpoint, layout = source.checkpoint, LAYOUTS[source.architecture]
    assert checkpoint is not None
    encoder = {name: tensor for name, tensor in ours.items() if not name.startswith("head")}
    published = None
    if isinstance(model, VisionTransformer) and isinstance(source.shape, VisionShape):
        published = _published_positions(source.shape)
        encoder["positions.embedding.weight"] = published.embedding.weight
    heads: Table = {}
    dense = layout.classifier.get("head.hidden")
    if isinstance(model, EncoderClassifier) and isinstance(dense, str) and model.head.hidden is not None:
        same_kind = ARCHITECTURES[source.architecture].head == model.config.head
        prefix = prefix_of(checkpoint, source.architecture)
        theirs = dense if prefix else dense.removeprefix(layout.prefix)
        if same_kind and f"{theirs}.weight" in checkpoint.tensors:
            heads = {"head.hidden": theirs}
            encoder |= {name: ours[name] for name in ours if name.startswith("head.hidden")}
    every_head = (layout.classifier, layout.masked_lm)
    wanted = plan(checkpoint, source.architecture, encoder, heads, every_head)
    wanted.require_whole(source.folder)
    filled = read(checkpoint, wanted, encoder)
    if isinstance(source.shape, VisionShape):
        _take_our_pixels(filled, source)
    if published is not None and isinstance(model.positions, LearnedGridPositions):
        with torch.no_grad():
            published.embedding.weight.copy_(filled["positions.embedding.weight"])
        resized = published.resized(model.positions.rows, model.positions.columns)
        filled["positions.embedding.weight"] = resized.embedding.weight.detach()
    return filled


def _take_our_pixels(filled: dict[str, Tensor], source: Source) -> None:
    """Changes the patch embedding so that it takes pixels in [-1, 1], whatever it was trained on.

    With theirs = (p - mean) / std and p = (ours + 1) / 2, W theirs + b is
    (W / (2 std)) ours + b + sum over the patch of W (1/2 - mean) / std.
    """
    mean, std = _pixel_scale(source.folder / PREPROCESSOR, source.sizes["channels"])
    weight, bias = (filled[f"embed.projection.{kind}"] for kind in ("weight", "bias"))
    pixels = weight.shape[1] // source.sizes["channels"]
    mean, std = (each.repeat_interleave(pixels) for each in (mean, std))
    shift = weight.double() @ ((0.5 - mean) / std)
    filled["embed.projection.weight"] = (weight.double() * (0.5 / std)).to(weight.dtype)
    filled["embed.projection.bias"] = (bias.double() + shift).to(bias.dtype)


def _pixel_scale(path: Path, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel that pixels in [0, 1] were brought to.

    Raises DataError for what is neither.
    """
    content = read_json(path) if path.is_file() else {}
    for name, usual in (("do_rescale", True), ("rescale_factor", 1 / 255)):
        if content.get(name, usual) not in (usual, round(usual, 17)):
            raise DataError(f"{path} says {name}={content[name]!r}; pixels are read from 0 to 255 here")
    if content.get("do_normalize") is False:
        content |= {"image_mean": [0.0], "image_std": [1.0]}
    scale = []
    for name in ("image_mean", "image_std"):
        values = content.get(name, [0.5])
        numbers = isinstance(values, list) and all(isinstance(each, int | float) for each in values)
        good = numbers and len(values) in (1, channels) and all(math.isfinite(each) for each in values)
        if not good or (name == "image_std" and min(values) <= 0):
            raise DataError(
                f"{path} says {name}={values!r}, by which pixels of {channels} channels cannot be scaled"
            )
        scale.append(torch.tensor(values, dtype=torch.float64).expand(channels))
    return scale[0], scale[1]


def _published_positions(shape: VisionShape) -> LearnedGridPositions:
    grid = (shape.height // shape.patch, shape.width // shape.patch)
    return LearnedGridPositions(shape.d_model, *grid, prefix=1)


def _of_run(source: Source, ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder of a run, whose names are ours."""
    try:
        theirs = load_file(source.folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise DataError(f"{source.folder / WEIGHTS} is broken ({error}); pretrain anew") from error
    filled = {name: tensor for name, tensor in theirs.items() if name.startswith("encoder.")}
    expected = {name for name in ours if name.startswith("encoder.")}
    wrong = sorted(expected ^ set(filled)) or [
        n for n in sorted(expected) if filled[n].shape != ours[n].shape
    ]
    if wrong:
        raise DataError(
            f"{source.folder / WEIGHTS} does not fit its config.yaml at {wrong[0]}; pretrain anew"
        )
    return filled


def _classes(config: dict[str, Any]) -> int:
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, dict) and labels else config.get("num_labels", 2)
    if not isinstance(count, int) or not 1 <= count <= 10**6:
        raise DataError(f"config.json says num_labels={count!r}, which is no number of classes")
    return count


def _untied(source: Source) -> str | None:
    """What is wrong, in words, where a language model has an output projection of its own."""
    checkpoint, name = source.checkpoint, TIED[source.architecture]
    if checkpoint is None or name not in checkpoint.tensors:
        return None
    row = LAYOUTS[source.architecture].encoder["embed.embedding"]
    embedding = f"{prefix_of(checkpoint, source.architecture)}{row}.weight"

    def tensor(of: str) -> Tensor:
        with safe_open(checkpoint.tensors[of].file, framework="pt") as opened:
            return opened.get_tensor(of)

    if embedding not in checkpoint.tensors or torch.equal(tensor(name), tensor(embedding)):
        return None
    return f"{name} is not the token embedding, and an output projection of its own does not run here"


def with_sizes(model: Any, source: Source) -> Any:
    """A model's configuration with the sizes of a published one. Raises UsageError where they contradict.

    Sizes that were given and are others are refused: they are not the user's to choose.
    """
    wanted = EncoderShape if isinstance(model, PretrainedClassifierConfig) else VisionShape
    if not isinstance(source.shape, wanted):
        kind = "texts" if wanted is EncoderShape else "images"
        raise UsageError(f"{source.name} is a {source.architecture} model, which is not for {kind}")
    default = wanted()
    for name, size in source.sizes.items():
        given = getattr(model, name)
        if given not in (size, getattr(default, name)):
            raise UsageError(f"model.{name}={given} cannot be chosen: {source.name} has {size}; leave it out")
    words = {"unknown": source.unknown, "tokenizer_folder": str(source.folder)}
    more = words if wanted is EncoderShape else {}
    return replace(model, **source.sizes, **more, pretrained=source.name)
