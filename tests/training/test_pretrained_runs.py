"""Fine-tuning from beginning to end: what a run keeps of the published model, and all that works on it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.helpers import BAD, GOOD, image_folder, reviews, write_csv
from tests.pretrained.published import tiny_bert

import glassformer
from glassformer import pretrained
from glassformer.cache import cache_folder
from glassformer.cli import main
from glassformer.errors import UsageError
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.encoder import EncoderClassifier
from glassformer.models.text_classifier import TextClassifier
from glassformer.tasks import find_task
from glassformer.tasks.config import OptimConfig
from glassformer.training.callbacks import InterruptedRun, RunKeeper
from glassformer.training.fit import resume, train
from glassformer.training.optimizers import blocks_above, make_optimizer


def quiet(line: str) -> None:
    del line


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("published") / "bert", f"review : . {' '.join(GOOD + BAD)}")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words, labels = reviews(160)
    rows = [(text, ("bad", "good")[label]) for text, label in zip(words, labels, strict=True)]
    return write_csv(tmp_path_factory.mktemp("data") / "reviews.csv", rows)


def small(bert: Path, table: Path, **model: Any) -> Any:
    config = find_task("text").preset(None, "pretrained")
    return replace(
        config,
        model=replace(config.model, pretrained=str(bert), **model),
        data=replace(config.data, train=str(table), max_tokens=20),
        optim=replace(config.optim, learning_rate=3e-3),
        fit=replace(config.fit, epochs=2, batch_size=16),
        baselines=False,
        device="cpu",
        precision="fp32",
        threads=1,
    )


@pytest.fixture(scope="module")
def run(bert: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("text", small(bert, table), str(tmp_path_factory.mktemp("runs") / "run"), report=quiet)


def test_a_run_needs_the_published_folder_no_more(bert: Path, table: Path, tmp_path: Path) -> None:
    gone = Path(shutil.copytree(bert, tmp_path / "gone"))
    folder = train("text", small(gone, table), str(tmp_path / "run"), report=quiet)
    before = glassformer.load(folder).predict(["a wonderful film", "boring and stupid"])
    shutil.rmtree(gone)
    after = glassformer.load(folder).predict(["a wonderful film", "boring and stupid"])
    assert before == after
    metrics = json.loads((folder / "metrics.json").read_text())
    again, _ = glassformer.load(folder).evaluate(baselines=False, report=quiet)
    assert again["test"]["accuracy"] == metrics["test"]["accuracy"]
    assert json.loads((folder / "metrics.json").read_text())["test"]["count"] == 32


def test_it_learns_and_its_texts_stand_between_cls_and_sep(run: Path, bert: Path) -> None:
    loaded = glassformer.load(run)
    assert isinstance(loaded.model, EncoderClassifier)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["validation"]["accuracy"] > 0.8
    examples, _ = loaded.task.encode(["a great film " * 30, "i loved it"], loaded.tokenizer, loaded.config)
    ids, offsets = examples.encoded.ids, examples.encoded.offsets
    rows = [ids[offsets[i] : offsets[i + 1]].tolist() for i in range(2)]
    assert [len(row) for row in rows] == [20, 5]
    assert all((row[0], row[-1]) == (2, 3) for row in rows)


def test_frozen_weights_are_the_published_ones_and_others_have_learned(
    bert: Path, table: Path, tmp_path: Path
) -> None:
    for frozen in (-1, 1):
        folder = train("text", small(bert, table, frozen=frozen), str(tmp_path / str(frozen)), report=quiet)
        model = glassformer.load(folder).model
        assert isinstance(model, EncoderClassifier)
        published = pretrained.load(str(bert)).state_dict()
        same = {name: torch.equal(each, published[name]) for name, each in model.encoder.state_dict().items()}
        below = {name for name in same if frozen == -1 or not name.startswith("blocks.1.")}
        assert all(same[name] for name in below)
        assert not any(equal for name, equal in same.items() if name not in below and "qkv.bias" not in name)
        learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
        assert json.loads((folder / "metrics.json").read_text())["parameters"] == learning


def test_stopped_and_resumed_equals_never_stopped_also_without_the_folder(
    run: Path, bert: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, seen = RunKeeper.on_train_batch_end, []

    def interrupt(self: RunKeeper, *words: Any) -> None:
        seen.append(1)
        if len(seen) == 9:  # of 8 batches an epoch: in the second
            self._interrupted.set()
        keep(self, *words)

    monkeypatch.setattr(RunKeeper, "on_train_batch_end", interrupt)
    gone = Path(shutil.copytree(bert, tmp_path / "gone"))
    with pytest.raises(InterruptedRun):
        train("text", small(gone, table), str(tmp_path / "stopped"), report=quiet)
    shutil.rmtree(gone)
    resume(str(tmp_path / "stopped"), report=quiet)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "stopped", run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_random_weights_of_the_same_sizes_are_another_start(bert: Path, table: Path, tmp_path: Path) -> None:
    folder = train("text", small(bert, table, start="random"), str(tmp_path / "run"), report=quiet)
    ours = load_file(folder / "model.safetensors")["encoder.embed.embedding.weight"]
    theirs = pretrained.load(str(bert)).state_dict()["embed.embedding.weight"]
    assert (ours - theirs).abs().mean() > 0.01
    with pytest.raises(UsageError, match="frozen=1 keeps random weights as they are"):
        small(bert, table, start="random", frozen=1)


def test_the_configuration_of_a_run_repeats_it(run: Path, bert: Path, tmp_path: Path) -> None:
    content = yaml.safe_load((run / "config.yaml").read_text())
    assert content["model"]["layers"] == 2
    assert content["model"]["pretrained"] == str(bert)
    words = f"train text --config {run / 'config.yaml'} --run-dir {tmp_path / 'again'}"
    assert main(words.split()) == 0
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "again", run))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_another_vocabulary_in_the_folder_changes_no_run(bert: Path, table: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bert, tmp_path / "bert"))
    run = train("text", small(folder, table), str(tmp_path / "run"), report=quiet)
    words = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join([*words[:5], *reversed(words[5:])]))
    loaded = glassformer.load(run)
    prepared = loaded.task.prepare(loaded.config, quiet)
    assert prepared.tokenizer is not None
    assert prepared.tokenizer.get_vocab() == loaded.tokenizer.get_vocab()  # type: ignore[union-attr]


def test_sizes_in_a_file_of_the_users_are_refused(bert: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("model: {layers: 12}")
    words = f"train text --data.train {table} --model.pretrained {bert} --config {tmp_path / 'own.yaml'}"
    assert main(words.split()) == 2


def test_every_command_works_on_it(
    run: Path, bert: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        f"evaluate {run} --no-baselines",
        f"explain {run} great --examples 4 --out {tmp_path / 'explained.html'}",
        f"report {run} --examples 0 --out {tmp_path / 'report.html'}",
        f"diagram {run} --out {tmp_path / 'drawn.svg'}",
        f"diagram text --data.train {table} --model.pretrained {bert} --data.max-tokens 20 --out "
        f"{tmp_path / 'fresh.svg'}",
        f"compare text --data.train {table} --model.pretrained {bert} --data.max-tokens 20 --fit.epochs 1 "
        f"--vary model.frozen=0,-1 --seeds 1 --threads 1 --no-baselines --study {tmp_path / 'study'}",
    ):
        assert main(words.split()) == 0, capsys.readouterr().err
    assert "[CLS]" in (tmp_path / "explained.html").read_text(encoding="utf-8")
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "text: a pretrained model, fine-tuned and judged" in report
    assert "model.frozen=-1" in capsys.readouterr().out


def test_what_does_not_fit_is_refused_before_anything_is_written(
    bert: Path, table: Path, saved: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, run = f"train text --data.train {table}", f"--run-dir {tmp_path / 'run'}"
    for words, status, said in (
        (f"{text} --model.pretrained {bert}", 2, "max_tokens=256 is more than the 23 positions"),
        (f"{text} --model.name pretrained", 2, "no published model is named; give --model.pretrained"),
        (f"{text} --model.name recurrent --model.pretrained {bert}", 2, "--model.pretrained"),
        (f"{text} --model.pretrained {bert} --model.layers 3", 2, "--model.layers"),
        (f"{text} --model.pretrained {bert} --model.frozen 3", 2, "more than the model's 2 blocks"),
        (f"{text} --model.pretrained {saved('vit')} --data.max-tokens 20", 2, "which is not for texts"),
        (f"{text} --model.pretrained {saved('bert')} --data.max-tokens 20", 1, "neither tokenizer.json nor"),
        (f"{text} --model.pretrained {bert} --data.max-tokens 2", 2, "no room beside the 2 tokens"),
        (f"{text} --model.pretrained {bert} --data.max-tokens 9 --data.token-dropout 0.1", 2, "[CLS] and"),
        (f"{text} --model.pretrained {tmp_path}", 2, "holds no published model"),
        (f"train parity --model.pretrained {bert}", 2, "parity has no model 'pretrained'"),
    ):
        capsys.readouterr()  # transformers told of the folders that it wrote
        assert main(f"{words} {run}".split()) == status, words
        answer = capsys.readouterr().err
        assert said in answer
        assert answer.count("\n") == 1
        assert not (tmp_path / "run").exists()


def test_a_vision_transformer_on_images_of_another_size(
    saved: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = image_folder(tmp_path / "images", {"dark": 20, "light": 20})
    words = f"train images --data.train {images} --model.pretrained {saved('vit')} --fit.epochs 1 --threads 1"
    more = f"--no-baselines --run-dir {tmp_path / 'run'}"
    assert main(f"{words} --data.image-size 20 16 --data.colours grey {more}".split()) == 2
    assert "takes images of 3 channels, and these have 1" in capsys.readouterr().err
    assert main(f"{words} --data.image-size 20 18 {more}".split()) == 2
    said = "patch=4 does not divide an image of 20 x 18 pixels; choose images of 20 x 16 or 20 x 20 pixels"
    assert said in capsys.readouterr().err
    assert main(f"{words} --data.image-size 20 {more}".split()) == 2
    assert "[bold]" not in (err := capsys.readouterr().err), err
    assert main(f"{words} --data.image-size 20 16 {more}".split()) == 0
    model = glassformer.load(tmp_path / "run").model
    assert model.positions.embedding.weight.shape == (1 + 5 * 4, 12)  # type: ignore[union-attr]


def test_a_vision_transformer_takes_images_of_its_own_size_where_none_is_chosen(
    saved: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = image_folder(tmp_path / "images", {"dark": 20, "light": 20})
    words = f"images --data.train {images}"
    shown = f"show {words} --preset pretrained --data.early-scale 0.5 --out {tmp_path / 'page.png'}"
    assert main(shown.split()) == 0  # of no model, so at the usual size
    cached = {np.load(file).shape[2:] for file in cache_folder().glob("images/*/pixels.npy")}
    assert (224, 224) in cached
    assert main(f"train {words} --data.image-size 0 64".split()) == 2
    assert "or 0 0 for the model's own" in capsys.readouterr().err
    words += f" --model.pretrained {saved('vit')} --fit.epochs 1 --threads 1 --no-baselines"
    assert main(f"train {words} --run-dir {tmp_path / 'run'}".split()) == 0
    model = glassformer.load(tmp_path / "run").model
    assert (model.config.height, model.config.width) == (12, 12)  # type: ignore[union-attr]
    assert model.positions.embedding.weight.shape == (1 + 3 * 3, 12)  # type: ignore[union-attr]
    picture = next((images / "dark").iterdir())
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), str(picture), "--json", "--threads", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] in {"dark", "light"}


def test_rates_fall_with_the_depth() -> None:
    config = TextClassifierConfig(layers=3, heads=1, d_model=4, d_ff=4, vocab=5, classes=2, max_tokens=4)
    model = TextClassifier(config)
    depths = blocks_above(model)
    assert depths["embed.embedding.weight"] == 3
    assert [depths[f"blocks.{i}.attention.qkv.weight"] for i in range(3)] == [2, 1, 0]
    assert depths["head.weight"] == depths["norm.weight"] == 0
    optimizer = make_optimizer(model, OptimConfig(learning_rate=1.0, layer_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert all(rates[id(p)] == 0.5 ** depths[name] for name, p in model.named_parameters())
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {decays[id(p)] for p in model.parameters() if p.ndim == 1} == {0.0}
    for wrong in (0.0, 1.1):
        with pytest.raises(UsageError, match="layer_decay"):
            OptimConfig(layer_decay=wrong)
    with pytest.raises(UsageError, match="layer_decay is for adamw"):
        OptimConfig(layer_decay=0.5, name="muon")


def test_pretrained_here_and_gone_on_from_with_the_seed_of_the_splits(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = "--model.layers 1 --model.d-model 8 --model.heads 2 --model.d-ff 8"
    sizes = f"{model} --data.max-tokens 20 --data.vocab 60"
    run = f"{tmp_path / 'pre'}"
    pretrain = f"pretrain text --data.train {table} {sizes} --fit.epochs 1 --threads 1 --run-dir {run}"
    assert main(pretrain.split()) == 0
    tune = f"train text --data.train {table} --model.pretrained {run} --data.max-tokens 20 --fit.epochs 1"
    assert main(f"{tune} --seed 1 --run-dir {tmp_path / 'other'}".split()) == 2
    assert "give --seed 0, or pretrain anew" in capsys.readouterr().err
    study = f"--vary model.pool=mean,max --seeds 2 --study {tmp_path / 'study'}"
    assert main(f"{tune.replace('train', 'compare', 1)} {study}".split()) == 2  # before anything is trained
    assert "give --seed 0, or pretrain anew" in capsys.readouterr().err
    other = table.with_name("moods.csv")
    other.write_text(table.read_text().replace("text,label", "text,mood"))
    moods = f"{tmp_path / 'moods'}"
    assert main(pretrain.replace(str(table), str(other)).replace(run, moods).split()) == 0
    again = tune.replace(str(table), str(other)).replace(run, moods)
    capsys.readouterr()
    assert main(f"{again} --data.label mood --run-dir {tmp_path / 'mood'}".split()) == 2
    assert "pretrain anew with --data.label mood" in capsys.readouterr().err
    more = "--data.token-dropout 0.3 --threads 1 --no-baselines"  # its tokeniser puts nothing around a text
    assert main(f"{tune} {more} --run-dir {tmp_path / 'tuned'}".split()) == 0
    model = glassformer.load(tmp_path / "tuned").model
    assert isinstance(model, EncoderClassifier)
    assert (model.config.norm, model.config.vocab) == (
        "pre",
        len(glassformer.load(run).tokenizer.get_vocab()),
    )  # type: ignore[union-attr]
