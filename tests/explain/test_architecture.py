"""The description of a model against plain forward hooks, the equations, and models of somebody else's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glassformer.errors import DataError
from glassformer.explain.architecture import Architecture, describe
from glassformer.explain.shapes import resized, size_at, symbolic
from glassformer.models.encoder_config import MaskedLanguageModelConfig
from glassformer.models.language_model import MaskedLanguageModel
from glassformer.tasks import TASKS, find_task
from tests.helpers import cifar10_folder, image_folder, reviews, write_csv, write_parquet

FILES = {"text": "reviews.csv", "images": "pets", "pairs": "pairs.csv"}
TEXTS = [
    {"positions": positions, "pool": pool, "norm": norm}
    for positions, pool, norm in [
        ("none", "mean", "pre"),
        ("sinusoidal", "cls", "post"),
        ("learned", "max", "pre"),
        ("rotary", "cls", "pre"),
        ("alibi", "mean", "post"),
    ]
]
SEQUENCES = [
    {"encoder_layers": 3, "decoder_layers": 2, "norm": "pre", "embeddings": "separate", "tie_output": False},
    {"encoder_layers": 2, "decoder_layers": 3, "norm": "post", "positions": "learned", "dropout": 0.1},
]
CASES = [
    *((name, {}) for name in TASKS),
    *(("parity", options) for options in TEXTS),
    *(("reverse", options) for options in SEQUENCES),
    *(("digits", {"pool": pool, "positions": "learned", "norm": "post"}) for pool in ("cls", "max")),
    *(
        ("parity", {"name": "recurrent", "pool": pool, "layers": 2, "bidirectional": True})
        for pool in ("last", "mean")
    ),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    cifar10_folder(folder)
    for split in ("train", "test"):
        write_parquet(folder / "imdb" / f"{split}.parquet", *reviews(60, seed=len(split)))
    texts, labels = reviews(60)
    write_csv(folder / "reviews.csv", list(zip(texts, labels, strict=True)))
    write_csv(folder / "pairs.csv", [(f"ab{i}", f"{i}ba") for i in range(60)], header=("source", "target"))
    image_folder(folder / "pets", {"cat": 12, "dog": 12})
    return folder


def built(
    name: str, options: dict[str, Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, nn.Module, dict[str, Any]]:
    """Task, model, and a small batch, as the command makes them."""
    monkeypatch.setenv("GLASSFORMER_CACHE", str(data / "cache"))
    task = find_task(name)
    config = task.preset(None, options.get("name"))
    parts = {"model": replace(config.model, **options), "data_dir": str(data)}
    if name in FILES:
        parts["data"] = replace(config.data, train=str(data / FILES[name]))
    elif name == "parity":
        parts["data"] = replace(config.data, bits=8)
    elif name == "add":
        parts["data"] = replace(config.data, digits=2)
    config = replace(config, **parts)
    facts = task.sizes(config, lambda line: None)
    return task, task.build_model(replace(config.model, **facts)), task.example(config, lambda line: None)


def seen(model: nn.Module, run: Any) -> dict[str, list[tuple[tuple[int, ...], ...]]]:
    """Module name -> the shapes of (first input, output) of each of its calls: plain forward hooks."""
    calls: dict[str, list[tuple[tuple[int, ...], ...]]] = {}

    def hook(name: str) -> Any:
        def note(module: nn.Module, args: Any, output: Any) -> None:
            given = next(each for each in args if isinstance(each, Tensor))
            made = output if isinstance(output, Tensor) else output[0]
            calls.setdefault(name, []).append((tuple(given.shape), tuple(made.shape)))

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
    run()
    for handle in handles:
        handle.remove()
    return calls


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_shapes_are_those_of_a_pass_of_other_sizes(
    name: str, options: dict[str, Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, model, batch = built(name, options, data, monkeypatch)

    def run(model: nn.Module, batch: dict[str, Any]) -> object:
        return task.loss(model, batch, 0.0)

    architecture = describe(model, batch, run)
    lengths = {"ids": {"tokens"}, "images": set(), "source": {"sources", "targets"}}
    assert set(architecture.symbols) == {"batch"} | lengths[next(iter(batch))]

    # other than all that it was described by: shorter ones, which learned positions have rows for
    sizes = {"batch": 13, "tokens": 2, "sources": 2, "targets": 1}
    sizes = {symbol: sizes[symbol] for symbol in architecture.symbols}
    calls = seen(model.eval(), lambda: run(model, resized(batch, sizes)))
    compared = 0
    for part in architecture.root.walk():
        if part.name in calls:
            number = len([each for each in architecture.root.walk() if each.name == part.name]) > 1
            shapes = [
                tuple(tuple(size_at(dim, sizes) for dim in shape) for shape in (part.inputs[0], part.output))
            ]
            assert shapes[0] in calls[part.name] if number else shapes == calls[part.name]
            compared += 1
    assert compared > 3
    # whatever is not drawn by its own name is inside of a part, a repeat, or changes nothing
    assert "?" not in str(json.loads(json.dumps(architecture.as_dict())))


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_parameters_add_up(
    name: str, options: dict[str, Any], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glassformer.training.judge import count_parameters

    task, model, batch = built(name, options, data, monkeypatch)
    architecture = describe(model, batch, lambda model, batch: task.loss(model, batch, 0.0))

    def total(part: Any) -> int:
        return part.repeats * (sum(map(total, part.children)) if part.children else part.parameters)

    assert architecture.unused == 0
    assert total(architecture.root) == architecture.parameters == count_parameters(model)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("name", ["parity", "digits", "reverse"])
def test_residuals_are_those_of_the_equations(
    name: str, norm: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = {"encoder_layers": 2, "decoder_layers": 3} if name == "reverse" else {"layers": 3}
    task, model, batch = built(name, {**layers, "norm": norm}, data, monkeypatch)
    root = describe(model, batch, lambda model, batch: task.loss(model, batch, 0.0)).root
    blocks = [part for part in root.children if part.children]
    assert [block.repeats for block in blocks] == list(layers.values())
    encoder = ((0, 1), (2, 3)) if norm == "pre" else ((0, 0), (2, 2))
    decoder = (*encoder, (4, 5) if norm == "pre" else (4, 4))
    assert [block.residuals for block in blocks] == [encoder, decoder][: len(blocks)]
    assert sum(len(part.residuals) for part in root.walk()) == (5 if name == "reverse" else 2)
    named = [child.label.split()[-1] for child in blocks[0].children]
    assert named == (
        ["norm", "self-attention", "norm", "feed-forward"]
        if norm == "pre"
        else ["self-attention", "norm", "feed-forward", "norm"]
    )


def test_the_decoder_reads_the_encoder(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, model, batch = built("reverse", {"decoder_layers": 2}, data, monkeypatch)
    architecture = describe(model, batch, lambda model, batch: task.loss(model, batch, 0.0))
    root = architecture.root
    assert architecture.arguments == ("source", "target")
    decoder = next(part for part in root.children if part.kind == "PreNormDecoderBlock")
    assert root.children[decoder.reads[1]].name == "encoder_norm"
    labels = {child.label: child for child in decoder.children}
    assert labels["cross-attention"].reads[1:] == (-2,)
    assert labels["cross-attention"].inputs[1] == ("batch", "sources", 64)
    assert labels["masked self-attention"].detail == "4 heads of 16"
    # the embedding serves the target and the output too, and is counted once
    tied = [part for part in root.children if part.tied]
    assert [part.parameters for part in tied] == [0, 0]
    assert tied[-1].output == ("batch", "targets", model.config.vocab)


def test_a_product_is_told_by_its_matrix_before_its_bias() -> None:
    config = MaskedLanguageModelConfig(layers=1, d_model=8, heads=2, d_ff=8, vocab=9, max_tokens=8)
    batch = {"ids": torch.zeros(2, 4, dtype=torch.int64)}
    root = describe(MaskedLanguageModel(config), batch, lambda model, batch: model(batch["ids"])).root
    (head,) = [part for part in root.children if part.name == "head"]
    assert head.children[-1].detail == "by the weights of encoder.embed.embedding and bias"
    assert head.children[-1].parameters == 9, "the matrix is counted where it is an embedding"


def test_the_last_block_says_that_the_first_token_alone_asks(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, model, batch = built("parity", {"pool": "cls", "layers": 3}, data, monkeypatch)
    root = describe(model, batch, lambda model, batch: task.loss(model, batch, 0.0)).root
    lower, last = (part for part in root.children if part.kind == "PreNormBlock")
    assert (lower.repeats, last.repeats) == (2, 1)
    asking = [part.detail for block in (lower, last) for part in block.walk() if "attention" in part.label]
    assert asking == ["4 heads of 8", "4 heads of 8, the first token asks"]
    assert last.output == ("batch", 1, 32)


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_a_recurrent_model_has_no_residual(pool: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"name": "recurrent", "cell": "gru", "pool": pool}
    task, model, batch = built("parity", options, data, monkeypatch)
    root = describe(model, batch, lambda model, batch: task.loss(model, batch, 0.0)).root
    assert [part.residuals for part in root.walk() if part.residuals] == []
    assert root.children[1].label == "GRU"


class Branches(nn.Module):
    """Somebody else's: two branches beside each other, a sum of strangers, and a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.one, self.two = nn.LayerNorm(6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return x + self.one(y) + self.two(y) * self.scale


class Stranger(nn.Module):
    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 6), nn.Linear(5, 6)
        self.blocks = nn.ModuleList(Branches() for _ in range(3)) if residual else nn.ModuleList()
        self.unused = nn.Linear(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x) + self.second(x)  # neither is computed from the other
        for block in self.blocks:
            y = block(y)
        return y


def described(model: nn.Module) -> Architecture:
    return describe(model, {"x": torch.randn(2, 5)}, lambda model, batch: model(batch["x"]))


def test_a_model_of_unknown_modules() -> None:
    architecture = described(Stranger(residual=True))
    *_, block = architecture.root.children
    assert (block.repeats, block.label, block.residuals) == (3, "branches", ((0, 1), (0, 3)))
    assert [part.label for part in block.children][-1] == "product with a parameter"
    assert architecture.unused == 9
    assert architecture.root.output == ("batch", 6)
    assert described(Stranger(residual=False)).root.residuals == ()


def test_pytorchs_own_encoder_layer_is_opened() -> None:
    layer = nn.TransformerEncoderLayer(6, 2, 11, dropout=0.0, batch_first=True)
    model = nn.Sequential(layer)
    architecture = describe(model, {"x": torch.randn(2, 3, 6)}, lambda model, batch: model(batch["x"]))
    assert len(architecture.root.children[0].residuals) == 2
    assert torch.backends.mha.get_fastpath_enabled()


def test_looking_changes_nothing() -> None:
    model = Stranger(residual=True).train()
    model.blocks[1].eval()
    x = torch.randn(3, 5)
    before, modes = model(x), [module.training for module in model.modules()]
    batch, state = {"x": torch.randn(2, 5)}, torch.get_rng_state()
    describe(model, batch, lambda model, batch: model(batch["x"]))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model(x), before)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_loss_that_calls_no_model() -> None:
    with pytest.raises(DataError, match="does not call the model"):
        describe(nn.Linear(2, 2), {"x": torch.zeros(2, 2)}, lambda model, batch: None)


def test_sizes_become_symbols() -> None:
    sizes = [{"batch": 2, "tokens": 7}, {"batch": 3, "tokens": 7}, {"batch": 5, "tokens": 6}]
    for dim in (4, "batch", "tokens + 1", "3 · tokens - 2", "batch · tokens", "batch + tokens + 3"):
        assert symbolic([size_at(dim, each) for each in sizes], sizes) == dim
    assert symbolic([1, 4, 9], sizes) is None
