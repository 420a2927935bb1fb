"""Published weights in our parts give transformers' numbers: outputs, gradients, one step of training."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glassformer import pretrained
from glassformer.errors import DataError
from glassformer.models.encoder import Encoder, EncoderClassifier
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.models.language_model import CausalLanguageModel, MaskedLanguageModel
from glassformer.models.vision_config import PretrainedVisionConfig
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.pretrained.loading import start_from, with_sizes
from glassformer.pretrained.mapping import written
from glassformer.pretrained.tables import LAYOUTS
from tests.pretrained.published import KINDS, opened

TEXT_KINDS = [kind for kind in KINDS if kind != "vit"]
CLASS_OF = {
    "Model": Encoder,
    "ForSequenceClassification": EncoderClassifier,
    "ForMaskedLM": MaskedLanguageModel,
    "ForPreTraining": MaskedLanguageModel,
    "LMHeadModel": CausalLanguageModel,
    "ForImageClassification": VisionTransformer,
}
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def some_text(kind: str) -> tuple[Tensor, Tensor]:
    """Token numbers, padded on the right as the architecture pads, and the mask."""
    ids = torch.randint(4, 37, (3, 7))
    mask = torch.ones(3, 7, dtype=torch.bool)
    mask[1, 4:] = mask[2, 1:] = False
    return ids.masked_fill(~mask, 1 if kind.startswith("roberta") else 0), mask


def their_output(model: Any, inputs: Tensor, mask: Tensor | None) -> Tensor:
    result = model(inputs) if mask is None else model(inputs, attention_mask=mask.long())
    for name in ("logits", "prediction_logits", "last_hidden_state"):
        if (output := getattr(result, name, None)) is not None:
            return output
    raise AssertionError(type(result))


def both_outputs(kind: str, ours: Any, theirs: Any) -> tuple[Tensor, Tensor]:
    """On the same input; of tokens, the real ones."""
    if kind == "vit":
        images = torch.rand(3, 3, 12, 12, dtype=torch.float64) * 2 - 1
        return ours(images), their_output(theirs, images, None)
    ids, mask = some_text(kind)
    one, other = ours(ids, mask), their_output(theirs, ids, mask)
    return (one[mask], other[mask]) if one.ndim == 3 else (one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_and_the_numbers_are_those_of_transformers(kind: str, saved: Callable[..., Path]) -> None:
    folder = saved(kind)
    ours, theirs = pretrained.load(str(folder)).double(), opened(kind, folder).double()
    ending = next(end for end in sorted(CLASS_OF, key=len, reverse=True) if KINDS[kind][0].endswith(end))
    assert type(ours) is CLASS_OF[ending]
    one, other = both_outputs(kind, ours, theirs)
    assert other.abs().max() > 0.1
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "-" in kind or kind == "vit"])
def test_after_one_step_of_training_every_weight_is_the_same(kind: str, saved: Callable[..., Path]) -> None:
    folder = saved(kind)
    ours, theirs = pretrained.load(str(folder)).double(), opened(kind, folder).double()
    for model in (ours, theirs):
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    before = {name: each.clone() for name, each in theirs.state_dict().items()}
    for model, output in zip((ours, theirs), both_outputs(kind, ours, theirs), strict=True):
        torch.nn.functional.cross_entropy(output, torch.arange(len(output)) % 3).backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()
    layout = LAYOUTS[kind.split("-")[0]]
    heads = layout.masked_lm if isinstance(ours, MaskedLanguageModel) else layout.classifier
    stepped = {name: each.double() for name, each in written(ours, kind.split("-")[0], heads).items()}
    theirs_now = _file_names(theirs, folder)
    assert set(stepped) <= set(theirs_now)
    moved = 0
    for name, tensor in stepped.items():
        torch.testing.assert_close(
            tensor.reshape(theirs_now[name].shape), theirs_now[name], rtol=1e-10, atol=1e-10, msg=name
        )
        moved += not torch.equal(theirs_now[name], before.get(name, theirs_now[name]))
    assert moved > 0.8 * sum(name in before for name in stepped)


def _file_names(model: Any, folder: Path) -> dict[str, Tensor]:
    """Its tensors under the names that files have: it renames in memory, and saving gives them back."""
    model.save_pretrained(folder / "stepped")
    return load_file(folder / "stepped" / "model.safetensors")


def test_minilm_is_the_published_file(minilm: Path) -> None:
    assert hashlib.sha256((minilm / "model.safetensors").read_bytes()).hexdigest() == MINILM_SHA256


def test_minilm_has_the_hidden_states_of_transformers_also_in_padded_batches(minilm: Path) -> None:
    from transformers import BertModel

    ours = pretrained.load(str(minilm))
    theirs = BertModel.from_pretrained(minilm, attn_implementation="sdpa").eval()
    tokenizer = pretrained.find(str(minilm)).tokenizer()
    rows = [tokenizer.encode(text).ids for text in ("A film of rare warmth, and well acted.", "No.", "Why?")]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = ids != 0
    with torch.no_grad():
        for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
            ours, theirs = ours.to(dtype), theirs.to(dtype)
            hidden = theirs(ids, attention_mask=mask.long()).last_hidden_state
            assert hidden.dtype == dtype
            torch.testing.assert_close(ours(ids, mask), hidden, rtol=tolerance, atol=tolerance)
            alone = ours(ids[1:2, : len(rows[1])])
            torch.testing.assert_close(alone[0], hidden[1, : len(rows[1])], rtol=tolerance, atol=tolerance)


def test_its_token_types_count(saved: Callable[..., Path]) -> None:
    folder = saved("bert")
    ours, theirs = pretrained.load(str(folder)).double(), opened("bert", folder).double()
    ids = torch.randint(4, 37, (2, 6))
    types = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 1, 1, 0, 1, 1]])
    torch.testing.assert_close(
        ours(ids, types=types), theirs(ids, token_type_ids=types).last_hidden_state, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("attention", ["tiled", "fused"])
def test_every_attention_function_gives_the_same(attention: str, saved: Callable[..., Path]) -> None:
    source = pretrained.find(str(saved("gpt2-lm")))
    settings: dict[str, Any] = {"pool": "last", "classes": 3, "dropout": 0.0}
    models = []
    for name in ("explicit", attention):
        config = PretrainedClassifierConfig(**source.sizes, attention=name, **settings)  # pyrefly: ignore
        model = EncoderClassifier(config)
        torch.manual_seed(0)
        start_from(model, source)
        torch.nn.init.normal_(model.head.output.weight)
        models.append(model.double())
    ids, mask = some_text("gpt2")
    torch.testing.assert_close(models[0](ids, mask), models[1](ids, mask), rtol=1e-10, atol=1e-10)


def test_shards_are_one_checkpoint(saved: Callable[..., Path]) -> None:
    whole, sharded = saved("bert-masked"), saved("bert-masked", max_shard_size="8KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    assert not (sharded / "model.safetensors").exists()
    ids, mask = some_text("bert")
    one, other = (pretrained.load(str(folder))(ids, mask) for folder in (whole, sharded))
    assert torch.equal(one, other)


def test_names_from_before_2019_are_read(saved: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved("bert")
    tensors = load_file(folder / "model.safetensors")
    old = {}
    for name, tensor in tensors.items():
        for new, was in (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")):
            name = name.replace(new, was)
        old[f"bert.{name}"] = tensor
    save_file(old, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    ids, mask = some_text("bert")
    assert torch.equal(pretrained.load(str(tmp_path))(ids, mask), pretrained.load(str(folder))(ids, mask))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tensors: tensors.pop("encoder.layer.1.attention.self.key.bias"), "missing: encoder.layer.1"),
        (lambda tensors: tensors.update(extra=torch.zeros(2)), "not expected: extra"),
        (
            lambda tensors: tensors.update({"embeddings.LayerNorm.bias": torch.zeros(13)}),
            "of another kind: embeddings.LayerNorm.bias is 13, not 12",
        ),
        (
            lambda tensors: tensors["embeddings.LayerNorm.bias"].fill_(float("nan")),
            "embeddings.LayerNorm.bias with values that are no numbers",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    change: Callable[[dict[str, Tensor]], Any], said: str, saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = saved("bert")
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(DataError, match=said):
        pretrained.load(str(tmp_path))


def test_an_output_projection_of_its_own_is_refused(saved: Callable[..., Path], tmp_path: Path) -> None:
    folder = saved("gpt2-lm")
    tensors = load_file(folder / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    for head, fine in ((tensors["transformer.wte.weight"].clone(), True), (torch.zeros(37, 12), False)):
        save_file(tensors | {"lm_head.weight": head}, tmp_path / "model.safetensors")
        if fine:
            pretrained.load(str(tmp_path))
        else:
            with pytest.raises(DataError, match=r"lm_head\.weight is not the token embedding"):
                pretrained.load(str(tmp_path))


def test_a_classifier_starts_from_the_encoder_and_from_its_dense_layer(saved: Callable[..., Path]) -> None:
    source = pretrained.find(str(saved("bert")))
    for head, fresh in (("linear", 2), ("tanh", 2), ("relu", 4)):
        given = PretrainedClassifierConfig(pretrained=source.name, head=head, classes=5)  # pyrefly: ignore
        model = EncoderClassifier(with_sizes(given, source))
        assert len(start_from(model, source)) == fresh
        ids, mask = some_text("bert")
        hidden = pretrained.load(source.name)(ids, mask)
        assert torch.equal(model.eval().encoder(ids, mask), hidden)
    tensors = load_file(source.folder / "model.safetensors")
    model = EncoderClassifier(with_sizes(PretrainedClassifierConfig(head="tanh", classes=5), source))
    start_from(model, source)
    assert model.head.hidden is not None
    assert torch.equal(model.head.hidden.weight, tensors["pooler.dense.weight"])


def test_a_vision_transformer_starts_at_another_image_size(saved: Callable[..., Path]) -> None:
    source = pretrained.find(str(saved("vit")))
    config = with_sizes(PretrainedVisionConfig(), source)
    same, larger = (
        VisionTransformer(
            PretrainedVisionConfig(**{**vars(config), "height": side, "width": side, "classes": 2}).as_vit()
        )
        for side in (12, 20)
    )
    assert start_from(same, source) == ["head.weight", "head.bias"]
    start_from(larger, source)
    whole = pretrained.load(source.name)
    assert isinstance(whole, VisionTransformer)
    resized = whole.for_image_size(20, 20)
    assert torch.equal(larger.positions.embedding.weight, resized.positions.embedding.weight)
    assert torch.equal(same.positions.embedding.weight, whole.positions.embedding.weight)


def test_pixels_are_scaled_as_it_was_trained(saved: Callable[..., Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(saved("vit"), tmp_path / "vit"))
    mean, std = [0.48, 0.46, 0.41], [0.23, 0.22, 0.28]
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    source = pretrained.find(str(folder))
    config = with_sizes(PretrainedVisionConfig(classes=3), source)
    model = VisionTransformer(config.as_vit())
    start_from(model, source)
    theirs = pretrained.load(str(folder))
    assert isinstance(theirs, VisionTransformer)
    model.head.load_state_dict(theirs.head.state_dict())
    pixels = torch.rand(2, 3, 12, 12)
    as_theirs = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    torch.testing.assert_close(model.eval()(pixels * 2 - 1), theirs(as_theirs), rtol=1e-4, atol=1e-4)


def test_frozen_blocks_do_not_learn(saved: Callable[..., Path]) -> None:
    source = pretrained.find(str(saved("bert")))
    for frozen, learning in ((0, 2), (1, 1), (-1, 0)):
        given = PretrainedClassifierConfig(frozen=frozen, classes=2)
        model = EncoderClassifier(with_sizes(given, source))
        blocks = [all(p.requires_grad for p in block.parameters()) for block in model.encoder.blocks]
        assert sum(blocks) == learning
        assert blocks == sorted(blocks)
        assert model.encoder.embed.embedding.weight.requires_grad == (frozen == 0)
        assert all(parameter.requires_grad for parameter in model.head.parameters())
    with pytest.raises(ValueError, match="frozen=3 is more than the model's 2 blocks"):
        with_sizes(PretrainedClassifierConfig(frozen=3, classes=2), source)


def test_sizes_are_not_to_be_chosen(saved: Callable[..., Path]) -> None:
    source = pretrained.find(str(saved("bert")))
    with pytest.raises(ValueError, match=r"model\.layers=4 cannot be chosen: .* has 2; leave it out"):
        with_sizes(PretrainedClassifierConfig(layers=4), source)
    again = with_sizes(PretrainedClassifierConfig(), source)
    assert with_sizes(again, source) == again
    with pytest.raises(ValueError, match="which is not for images"):
        with_sizes(PretrainedVisionConfig(), source)


def test_a_model_goes_out_as_it_came_in(saved: Callable[..., Path]) -> None:
    for kind in KINDS:
        folder, name = saved(kind), kind.split("-")[0]
        model = pretrained.load(str(folder))
        layout = LAYOUTS[name]
        heads = layout.masked_lm if isinstance(model, MaskedLanguageModel) else layout.classifier
        came = load_file(folder / "model.safetensors")
        went = written(model, name, heads)
        bare = {key.removeprefix(layout.prefix): tensor for key, tensor in came.items()}
        for key, tensor in went.items():
            assert torch.equal(tensor.flatten(), bare[key.removeprefix(layout.prefix)].flatten()), (kind, key)
        left = set(bare) - {key.removeprefix(layout.prefix) for key in went}
        assert all("pooler" in key or "seq_relationship" in key for key in left), (kind, left)
        assert json.loads((folder / "config.json").read_text())["architectures"] == [KINDS[kind][0]]
