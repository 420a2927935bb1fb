"""Small runs and what is exported from them, once for all tests here."""

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import onnx
import pytest

from glassformer.cli import main
from tests.helpers import BAD, GOOD, reviews, write_csv
from tests.pretrained.published import random_model


@pytest.fixture(autouse=True, scope="package")
def unchecked_shapes() -> Iterator[None]:
    """Sizes are symbols while a model is traced, and the checks of shapes want numbers. Off in here alone."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="package")
def text_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run on texts of three classes, whose names are hard on Markdown."""
    folder = tmp_path_factory.mktemp("text")
    words, labels = reviews(150)
    names = ("so | so", "*good*", "bad")
    rows = [
        (text, names[(label + 2 * (n % 9 == 0)) % 3])
        for n, (text, label) in enumerate(zip(words, labels, strict=True))
    ]
    path = write_csv(folder / "reviews.csv", rows)
    sizes = "--model.d-model 32 --model.d-ff 12 --model.positions learned --model.pool cls"
    return trained(f"text --data.train {path} {sizes} --data.max-tokens 24", folder / "run")


@pytest.fixture(scope="package")
def image_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run on digits of a form that transformers knows."""
    sizes = "--model.layers 2 --model.d-model 12 --model.d-ff 13 --model.heads 3"
    form = "--model.positions learned --model.pool cls"
    return trained(f"digits {sizes} {form} --no-baselines", tmp_path_factory.mktemp("images") / "run")


@pytest.fixture(scope="package")
def exported(text_run: Path, tmp_path_factory: pytest.TempPathFactory, unchecked_shapes: None) -> Path:
    return exported_from(text_run, tmp_path_factory.mktemp("onnx") / "folder")


@pytest.fixture(scope="package")
def smaller(text_run: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In INT8; the graph is not traced a second time."""
    graph = onnx.load(exported / "model.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glassformer.export.to_onnx.onnx_graph", lambda model: graph)
        folder = tmp_path_factory.mktemp("int8") / "folder"
        return exported_from(text_run, folder, "--int8", "--examples", "9")


def trained(words: str, folder: Path) -> Path:
    common = f"--fit.epochs 1 --threads 1 --precision fp32 --run-dir {folder}"
    assert main(["train", *words.split(), *common.split()]) == 0
    return folder


def exported_from(run: Path, folder: Path, *words: str) -> Path:
    assert main(["export", str(run), "--out", str(folder), "--threads", "1", *words]) == 0
    return folder


@pytest.fixture(scope="package")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights and a vocabulary, as transformers saves them."""
    folder = tmp_path_factory.mktemp("published") / "bert"
    random_model("bert").save_pretrained(folder)
    words = sorted({word for text in (*GOOD, *BAD) for word in text.split()})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
    return folder


@pytest.fixture(scope="package")
def tuned_run(tmp_path_factory: pytest.TempPathFactory, published: Path, own_cache: None) -> Path:
    """A run that started from it."""
    folder = tmp_path_factory.mktemp("tuned")
    words, labels = reviews(80)
    rows = [(text, ("bad", "good")[label]) for text, label in zip(words, labels, strict=True)]
    path = write_csv(folder / "reviews.csv", rows)
    model = f"--model.pretrained {published} --model.pool cls --model.head tanh"
    words = f"text --data.train {path} {model} --data.max-tokens 20 --optim.learning-rate 3e-3 --no-baselines"
    return trained(words, folder / "run")
