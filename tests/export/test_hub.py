"""transformers loads what is exported for it, and computes what the run computes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from glassformer.cli import main
from glassformer.errors import UsageError
from glassformer.export import hub
from glassformer.export.forms import hub_form
from glassformer.models.configs import VisionTransformerConfig
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.pretrained.inspecting import inspect
from glassformer.training.loaded import load
from tests.export.conftest import exported_from
from tests.export.test_graph import randomised
from tests.export.test_onnx_folder import CPU, refused
from tests.pretrained.published import random_model

CONFIG = VisionTransformerConfig(
    layers=1, heads=3, d_model=12, d_ff=13, patch=4, positions="learned", pool="cls",
    channels=3, height=8, width=12, classes=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(image_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_from(image_run, tmp_path_factory.mktemp("hub") / "folder", "--format", "hub")


def test_transformers_gives_equal_logits(image_run: Path, folder: Path) -> None:
    from transformers import AutoModelForImageClassification

    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "preprocessor_config.json", "README.md",
    }  # fmt: skip
    run, theirs = load(image_run, CPU), AutoModelForImageClassification.from_pretrained(folder)
    assert list(theirs.config.id2label.values()) == run.class_names
    assert theirs.config.label2id["7"] == 7
    images = torch.rand(5, 1, 8, 8) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(theirs.eval()(images).logits, run.model(images), rtol=1e-5, atol=1e-5)


def test_its_pixels_are_ours(image_run: Path, folder: Path, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor

    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    processor = AutoImageProcessor.from_pretrained(folder)
    theirs = processor(Image.open(tmp_path / "digit.png"), return_tensors="pt")["pixel_values"]
    run = load(image_run, CPU)
    examples, _ = run.task.encode([str(tmp_path / "digit.png")], None, run.config)
    (batch,) = run.task.batches(examples, run.config, train=False)
    torch.testing.assert_close(theirs, batch["images"], rtol=0, atol=1e-6)


def test_the_card_has_the_figures(image_run: Path, folder: Path) -> None:
    card = (folder / "README.md").read_text()
    metrics = json.loads((image_run / "metrics.json").read_text())
    assert f"| {metrics['test']['accuracy']:.4f} |" in card
    assert "library_name: transformers" in card
    assert 'pipeline("image-classification", model="FOLDER")("image.png")' in card
    assert "3 batches of several sizes" in card


def test_what_goes_out_runs_here_again(image_run: Path, folder: Path) -> None:
    found = inspect(str(folder))
    assert found.faults == []
    assert found.runs
    assert found.head == "a classifier"
    assert (found.sizes["height"], found.sizes["width"]) == (8, 8)
    assert found.parameters == load(image_run, CPU).parameters


def test_a_square_has_one_size_and_others_two() -> None:
    square = VisionTransformer(replace(CONFIG, width=8))
    assert hub_form(square).config["image_size"] == 8
    assert hub_form(VisionTransformer(CONFIG)).config["image_size"] == [8, 12]


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_every_form_that_maps(activation) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    model = randomised(VisionTransformer(replace(CONFIG, activation=activation)))
    form = hub_form(model)
    theirs = ViTForImageClassification(ViTConfig(**form.config, num_labels=5))
    assert theirs.config.layer_norm_eps == 1e-5
    assert sum(each.numel() for each in form.weights.values()) == sum(
        each.numel() for each in theirs.parameters()
    )


def test_a_published_one_goes_out_as_it_came_in(tmp_path: Path) -> None:
    from glassformer import pretrained

    theirs = random_model("vit")
    theirs.save_pretrained(tmp_path)
    form = hub_form(pretrained.load(str(tmp_path)))
    assert form.config["layer_norm_eps"] == theirs.config.layer_norm_eps
    came = load_file(tmp_path / "model.safetensors")
    assert form.weights.keys() == came.keys()
    assert all(torch.equal(form.weights[name], tensor) for name, tensor in came.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pool": "mean"},
            "pool=mean: transformers' ViT reads the CLS token; export it with --format onnx, or train",
        ),
        ({"positions": "rotary"}, "positions=rotary: transformers' ViT has learned positions"),
        ({"positions": "none"}, "positions=none: .* or train with --model.positions learned"),
        ({"norm": "post"}, "norm=post: transformers' ViT has its norms before"),
    ],
)
def test_what_stands_in_the_way(change, message) -> None:
    with pytest.raises(UsageError, match=message):
        hub_form(VisionTransformer(replace(CONFIG, **change)))


def test_a_text_classifier_has_no_such_form(text_run: Path, tmp_path: Path, capsys) -> None:
    said = refused(capsys, 2, "export", text_run, "--format", "hub", "--out", tmp_path / "folder")
    assert "no architecture of the form of TextClassifier; export it with --format onnx" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mistake", ["query and key", "transposed patches", "a weight left out", "eps"])
def test_a_mistake_is_not_written(mistake: str, image_run: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    form = hub_form(load(image_run, CPU).model)
    weights = dict(form.weights)
    query = "vit.encoder.layer.0.attention.attention.query.weight"
    if mistake == "query and key":
        value = query.replace("query", "value")
        weights[query], weights[value] = weights[value], weights[query]
    elif mistake == "transposed patches":
        name = "vit.embeddings.patch_embeddings.projection.weight"
        weights[name] = weights[name].mT
    elif mistake == "a weight left out":
        del weights["classifier.weight"]
    config = form.config | ({"layer_norm_eps": 0.3} if mistake == "eps" else {})
    wrong = replace(form, weights=weights, config=config)
    monkeypatch.setattr(hub, "hub_form", lambda model: wrong)
    said = refused(capsys, 1, "export", image_run, "--format", "hub", "--out", tmp_path / "folder")
    assert "the graph and the model differ by" in said
    assert not list(tmp_path.iterdir())


def test_without_transformers(image_run: Path, folder: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    assert main(["export", str(image_run), "--format", "hub", "--out", str(tmp_path / "folder")]) == 0
    assert "not compared with the run, since transformers is not installed" in capsys.readouterr().err
    assert "They were not compared with the run" in (tmp_path / "folder" / "README.md").read_text()
    one, two = (load_file(each / "model.safetensors") for each in (folder, tmp_path / "folder"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
