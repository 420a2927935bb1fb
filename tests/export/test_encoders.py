"""Models on a published encoder go out through the table that they came in by, and as ONNX."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from glassformer.errors import DataError, UsageError
from glassformer.export import hub
from glassformer.export.card import Card, model_card
from glassformer.export.forms import hub_form
from glassformer.models.encoder import EncoderClassifier
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.pretrained.inspecting import inspect
from glassformer.training.loaded import load
from tests.export.conftest import exported_from
from tests.export.test_graph import as_onnx, assert_same_on_texts, randomised
from tests.export.test_onnx_folder import CPU, TEXTS

SIZES: dict[str, Any] = {"layers": 1, "heads": 3, "d_model": 12, "d_ff": 17, "vocab": 29, "max_tokens": 37}
BERT = PretrainedClassifierConfig(**SIZES, classes=5, pool="cls", head="tanh", token_types=2)
KINDS = {
    "bert": BERT,
    "bert, tanh's gelu": replace(BERT, activation="gelu_tanh", eps=1e-5),
    "roberta": replace(BERT, first_position=2, token_types=1, eps=1e-5),
    "distilbert": replace(BERT, token_types=0, head="relu"),
}
LABELS = {"num_labels": 5}


def classifier(config: PretrainedClassifierConfig) -> EncoderClassifier:
    return randomised(EncoderClassifier(config))


def compared(model: EncoderClassifier, change: Callable[[dict], object] = lambda weights: None) -> Any:
    from safetensors.torch import save

    form = hub_form(model)
    change(form.weights)
    config = {
        "architectures": [form.architecture],
        **form.config,
        "id2label": {str(n): str(n) for n in range(5)},
    }
    files = {"config.json": hub.as_json(config), "model.safetensors": save(form.weights, {"format": "pt"})}
    return hub.loads_equal(model, form, files)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_the_same(kind: str) -> None:
    model = classifier(KINDS[kind])
    assert compared(model).batches > 10
    form = hub_form(model)
    assert form.config["model_type"] == kind.split(",")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_in_another_s_place_is_seen(kind: str) -> None:
    def swapped(weights: dict[str, torch.Tensor]) -> None:
        one, two = (
            next(name for name in weights if f"attention.{place}" in name and name.endswith("weight"))
            for place in (("q_lin", "k_lin") if kind == "distilbert" else ("self.query", "self.key"))
        )
        weights[one], weights[two] = weights[two], weights[one]

    with pytest.raises(DataError, match="differ by"):
        compared(classifier(KINDS[kind]), swapped)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pool": "mean"},
            "pool=mean: transformers' BertForSequenceClassification reads the first token; exp",
        ),
        ({"head": "linear"}, "head=linear: .* has a dense layer with tanh; .* train with --model.head tanh"),
        (
            {"first_position": 2, "head": "relu"},
            "head=relu: transformers' RobertaForSequenceClassification has",
        ),
        ({"token_types": 0}, "head=tanh: transformers' DistilBertForSequenceClassification has .* relu"),
        ({"token_types": 0, "eps": 1e-5}, "eps=1e-05: transformers' DistilBERT has 1e-12; export it with"),
        ({"causal": True, "norm": "pre"}, "have post-norm blocks, .* and this one has not; export it with"),
    ],
)
def test_what_stands_in_the_way(change, message) -> None:
    with pytest.raises(UsageError, match=message):
        hub_form(classifier(replace(BERT, **change)))


@pytest.mark.parametrize(
    "change",
    [{"attention": "tiled"}, {"causal": True, "pool": "last", "norm": "pre", "embedding_norm": False}],
    ids=["BERT", "GPT-2"],
)
def test_onnx(change) -> None:
    model = classifier(replace(BERT, **change))
    assert_same_on_texts(model, as_onnx(model))


def test_a_tuned_run_is_a_pipeline(tuned_run: Path, published: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    folder = exported_from(tuned_run, tmp_path / "folder", "--format", "hub")
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md",
    }  # fmt: skip
    assert f"Started from the weights of `{published}`" in (folder / "README.md").read_text()
    found = inspect(str(folder))
    assert (found.runs, found.faults) == (True, [])
    run = load(tuned_run, CPU)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    given = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    examples, _ = run.task.encode(TEXTS, run.tokenizer, run.config)
    for row, ids in enumerate(given["input_ids"]):
        taken = examples.take([row])  # type: ignore[arg-type]
        (batch,) = run.task.batches(taken, run.config, train=False)
        real = given["attention_mask"][row].bool()
        assert ids[real].tolist() == batch["ids"][0].tolist()
    theirs = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.inference_mode():
        probabilities = theirs(**given).logits.softmax(1)
    for one, said in zip(run.predict(TEXTS), probabilities, strict=True):
        assert said.tolist() == pytest.approx(list(one.probabilities.values()), abs=1e-5)
    ask = pipeline("text-classification", model=str(folder))
    (answer,) = ask(TEXTS[0])
    assert answer["label"] == run.predict(TEXTS[:1])[0].label


def test_the_card_says_where_the_weights_began(tuned_run: Path) -> None:
    run = load(tuned_run, CPU)
    metrics, provenance = (
        json.loads((tuned_run / f"{name}.json").read_text()) for name in ("metrics", "provenance")
    )
    export = {"format": "onnx", "command": "", "opset": 23, "check": None, "versions": {}, "sha256": {}}
    source = run.config.model.pretrained
    card = model_card(Card(run, metrics, provenance, export))
    assert f"The pretrained model `{source}`, fine-tuned, of" in card
    assert f"- Started from the weights of `{source}`" in card
    assert f"; of layers {run.config.model.layers}, heads {run.config.model.heads}, " in card
    assert "unknown" not in card, "which token stands for what is none of its sizes"
    assert "--data.tokenizer" not in card, "its own is used whatever that option says"
    run.config = replace(run.config, model=replace(run.config.model, start="random"))
    card = model_card(Card(run, metrics, provenance, export))
    assert f"A model with the sizes of `{source}`, from random weights, of" in card
    assert "Started from" not in card


def test_the_card_s_call_takes_a_text_beyond_the_positions(tuned_run: Path, tmp_path: Path) -> None:
    """transformers cuts none unless it is asked to, and fails on the first token without a position."""
    from transformers import pipeline

    folder = exported_from(tuned_run, tmp_path / "folder", "--format", "hub")
    positions = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    text = "good " * (positions + 1)
    with pytest.raises(RuntimeError):
        pipeline("text-classification", model=str(folder))(text)
    call = r'pipeline\("text-classification", model="FOLDER"(.*)\)\("a text"\)'
    found = re.search(call, (folder / "README.md").read_text())
    assert found is not None
    assert found.group(1) == ", truncation=True"
    (answer,) = pipeline("text-classification", model=str(folder), truncation=True)(text)
    (wanted,) = load(tuned_run, CPU).predict([text])
    assert answer["score"] == pytest.approx(wanted.probabilities[answer["label"]], abs=1e-5)
    assert answer["label"] == wanted.label
