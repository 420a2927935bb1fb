"""Pretraining on texts without labels: what is learned from, the loss, runs, and what a run can be asked."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.helpers import write_csv, write_parquet

import glassformer
from glassformer.cli import main
from glassformer.data.encoded import text_hash
from glassformer.data.pairs import NO_LABEL
from glassformer.data.tokenizer import MASK
from glassformer.errors import DataError, UsageError
from glassformer.pretrained import find
from glassformer.tasks import PRETRAINING, find_task
from glassformer.tasks.corpus import require_unseen, seed_of_run
from glassformer.training.callbacks import InterruptedRun, RunKeeper
from glassformer.training.fit import resume, train
from glassformer.training.run_folder import write_config

pytestmark = pytest.mark.xdist_group("masked_language")  # its fixture takes long: made once
PHRASES = [
    "the cat sat on the mat",
    "a small dog ran through our park",
    "she likes green apples very much",
    "his old car needs new wheels",
]


def quiet(line: str) -> None:
    del line


def corpus(path: Path, count: int = 120, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    texts = [" . ".join(generator.choice(PHRASES, int(generator.integers(1, 6)))) for _ in range(count)]
    return write_csv(path, [(text, "") for text in texts])


def small(path: Path, epochs: int = 2, **options: Any) -> Any:
    config = find_task("masked-text").preset(None, None)
    return replace(
        config,
        model=replace(config.model, layers=1, d_model=16, heads=2, d_ff=24, dropout=0.1),
        data=replace(config.data, train=str(path), max_tokens=13, validation_share=0.1),
        optim=replace(config.optim, learning_rate=1e-2),
        fit=replace(config.fit, epochs=epochs, batch_size=16),
        device="cpu",
        precision="fp32",
        threads=1,
        **options,
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("texts") / "texts.csv")


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small(file, 60)
    config = replace(config, model=replace(config.model, d_model=32, d_ff=48, dropout=0.0))
    return train("masked-text", config, str(tmp_path_factory.mktemp("runs") / "run"), report=quiet)


# --- what is learned from ---------------------------------------------------------------------------------


DOUBLES = {7: "test film 3", 111: "test film 30", 250: "test film 300", 399: "test film 333"}


@pytest.fixture(scope="module")
def imdb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews that tell where they stand; of each hundred without a label one stands in test too."""
    folder = tmp_path_factory.mktemp("data")
    labels = [i // 300 for i in range(600)]
    for split in ("train", "test"):
        write_parquet(folder / "imdb" / f"{split}.parquet", [f"{split} film {i}" for i in range(600)], labels)
    own = [f"unsupervised film {i}" for i in range(400)]
    for row, text in DOUBLES.items():
        own[row] = f" {text}\n"
    write_parquet(folder / "imdb" / "unsupervised.parquet", own, [-1] * 400)
    return folder


def learned_and_judged(folder: Path, labelled: bool, seed: int = 0) -> tuple[set[int], set[int], Any]:
    task = find_task("masked-imdb")
    config = task.preset(None, None)
    data = replace(config.data, labelled=labelled, validation_share=0.3)
    prepared = task.prepare(replace(config, data=data, data_dir=str(folder), seed=seed), quiet)
    learned, judged = (set(prepared.examples[split].hashes.tolist()) for split in ("train", "validation"))
    return learned, judged, prepared


def hashes_of(split: str, rows: Any) -> set[int]:
    return {text_hash(f"{split} film {i}") for i in rows}


@pytest.mark.parametrize(("labelled", "seed"), [(False, 0), (True, 0), (True, 1)])
def test_nothing_that_is_judged_on_is_learned_from(imdb: Path, labelled: bool, seed: int) -> None:
    learned, judged, prepared = learned_and_judged(imdb, labelled, seed)
    fine_tuning = find_task("imdb")
    config = replace(fine_tuning.preset(None, None), data_dir=str(imdb), seed=seed)
    held_out = set(fine_tuning.prepare(config, quiet).examples["validation"].hashes.tolist())
    assert not learned & hashes_of("test", range(600))
    assert not learned & held_out
    assert not learned & judged
    assert judged < hashes_of("unsupervised", range(400)) | hashes_of("test", range(600))
    assert bool(learned & hashes_of("train", range(600))) == labelled
    if labelled:
        assert len(learned & hashes_of("train", range(600))) == 540
    left_out = 4 - len(judged & hashes_of("test", range(600)))
    assert left_out >= 2
    assert len(learned & hashes_of("unsupervised", range(400))) == 280 - left_out
    assert prepared.notes == [f"{left_out} texts are not learned from, since they are judged on somewhere"]
    unseen = set(prepared.tokenizer.get_vocab()) & {"train", "test"}
    assert unseen == ({"train"} if labelled else set())  # nor does the tokeniser know their words


def test_unlabelled_reviews_are_held_out_film_by_film(imdb: Path) -> None:
    _, judged, _ = learned_and_judged(imdb, False)
    rows = [i for i in range(400) if text_hash(DOUBLES.get(i, f"unsupervised film {i}")) in judged]
    assert len(rows) == 120
    assert sum(b - a > 1 for a, b in pairwise(rows)) <= 2


def test_without_a_folder_the_hub_is_not_asked_for_what_is_not_pinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("GLASSFORMER_DATA", raising=False)
    task = find_task("masked-imdb")
    with pytest.raises(UsageError, match=r"unsupervised\.parquet of stanfordnlp/imdb into DIR/imdb"):
        task.prepare(task.preset(None, None), quiet)


def test_doubles_of_what_is_held_out_are_not_learned_from(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "texts.csv", [(PHRASES[i % 4], "") for i in range(40)])
    config = small(path)
    with pytest.raises(DataError, match="stands among those to judge on"):
        find_task("masked-text").prepare(
            replace(config, data=replace(config.data, validation_share=0.9)), quiet
        )


def test_a_file_without_labels_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"body": p}) + "\n" for p in PHRASES * 5))
    (tmp_path / "b.jsonl").write_text(json.dumps({"body": "the cat sat on the roof"}) + "\n")
    task = find_task("masked-text")
    config = small(tmp_path / "a.jsonl")
    data = replace(config.data, text="body", validation=str(tmp_path / "b.jsonl"))
    prepared = task.prepare(replace(config, data=data), quiet)
    assert (len(prepared.examples["train"]), len(prepared.examples["validation"])) == (20, 1)


def reviews_file(path: Path, label: str = "label", count: int = 200) -> Path:
    """Texts in three classes of unlike size; the first twenty stand there twice."""
    return write_csv(path, [(f"text {i % 180}", "abcbb"[i % 5]) for i in range(count)], ("text", label))


def prepared_both(path: Path, seed: int, of_fine_tuning: int, **options: Any) -> dict[str, set[int]]:
    """Hashes of what pretraining learns from and judges, and of the splits of `train text`."""
    found = {}
    for name, its_seed in (("masked-text", seed), ("text", of_fine_tuning)):
        task = find_task(name)
        config = task.preset(None, None)
        config = replace(config, data=replace(config.data, train=str(path), **options), seed=its_seed)
        for split, examples in task.prepare(config, quiet).examples.items():
            found[f"{name} {split}"] = set(examples.hashes.tolist())
    return found


@pytest.mark.parametrize(
    "options",
    [{}, {"test_share": 0.5, "validation_share": 0.3}, {"label": "class"}, {"test": "other"},
     {"validation": "other"}, {"test": "other", "validation": "other"}],
    ids=str,
)  # fmt: skip
def test_what_train_text_holds_out_is_not_learned_from(options: dict[str, Any], tmp_path: Path) -> None:
    path = reviews_file(tmp_path / "a.csv", options.get("label", "label"))
    # 20 of its texts stand in the other file too
    other = reviews_file(tmp_path / "b.csv", count=20)
    options = {key: str(other) if value == "other" else value for key, value in options.items()}
    for seed in (0, 7):
        of = prepared_both(path, seed, seed, **options)
        assert not of["masked-text train"] & (of["text test"] | of["text validation"])
        assert of["masked-text validation"] == of["text validation"]
        assert of["masked-text train"] == of["text train"] - of["text test"] - of["text validation"]
    if "test" not in options:  # the test would tell: with another seed they meet
        of = prepared_both(path, 0, 1, **options)
        assert of["masked-text train"] & of["text test"]


def test_a_file_that_cannot_be_split_by_its_labels_says_what_is_not_known(tmp_path: Path) -> None:
    task = find_task("masked-text")
    bare = write_csv(tmp_path / "bare.csv", [(p, i) for i, p in enumerate(PHRASES * 5)], ("text", "row"))
    empty = write_csv(tmp_path / "empty.csv", [(p, "") for p in PHRASES * 5])
    other = write_csv(tmp_path / "other.csv", [("the cat sat on the roof", 1)], ("text", "row"))
    for path, why in ((bare, "has no column 'label'"), (empty, "row 1 has no 'label'")):
        config = small(path)
        notes = task.corpus(config).notes
        assert len(notes) == 1
        assert why in notes[0]
        assert "is not known here" in notes[0]
        given = replace(config.data, validation=str(other), test=str(other))
        assert task.corpus(replace(config, data=given)).notes == []
    with pytest.raises(UsageError, match="has no column 'lable'"):
        task.corpus(replace(small(bare), data=replace(small(bare).data, label="lable")))


def test_texts_of_the_test_file_are_not_learned_from_without_labels(tmp_path: Path) -> None:
    bare = write_csv(tmp_path / "a.csv", [(f"text {i}", i) for i in range(40)], ("text", "row"))
    test = write_csv(tmp_path / "b.csv", [(f"text {i}", i) for i in range(10)], ("text", "row"))
    config = small(bare)
    prepared = find_task("masked-text").prepare(
        replace(config, data=replace(config.data, test=str(test))), quiet
    )
    learned = set(prepared.examples["train"].hashes.tolist())
    assert not learned & {text_hash(f"text {i}") for i in range(10)}
    assert len(learned) >= 26


# --- and how fine-tuning has to go on --------------------------------------------------------------------


def content_of(task: str, config: Any, folder: Path) -> dict[str, Any]:
    write_config(folder, task, find_task(task).with_absolute_paths(config), [])
    return yaml.safe_load((folder / "config.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "data", "seed"),
    [("imdb", {}, None), ("imdb", {"labelled": True}, 5), ("text", {"train": "a.csv"}, 5),
     ("text", {"train": "a.csv", "test": "b.csv"}, 5),
     ("text", {"train": "a.csv", "test": "b.csv", "validation": "c.csv"}, None)],
)  # fmt: skip
def test_the_seed_to_go_on_with(name: str, data: dict[str, Any], seed: int | None, tmp_path: Path) -> None:
    config = find_task(f"masked-{name}").preset(None, None)
    config = replace(config, data=replace(config.data, **data), seed=5)
    assert seed_of_run(content_of(f"masked-{name}", config, tmp_path)) == seed


def test_a_run_of_training_binds_nobody(tmp_path: Path) -> None:
    config = find_task("text").preset(None, None)
    config = replace(config, data=replace(config.data, train="a.csv"))
    assert seed_of_run(content_of("text", config, tmp_path)) is None


@pytest.mark.parametrize(
    ("name", "learned", "judged", "says"),
    [("imdb", {"labelled": True}, {"seed": 1}, "give --seed 0, or pretrain anew"),
     ("imdb", {"labelled": True}, {"validation_share": 0.3}, "give --data.validation-share 0.1"),
     ("imdb", {"labelled": True}, {}, None),
     ("imdb", {}, {"seed": 1, "validation_share": 0.3}, None),
     ("text", {"train": "a.csv"}, {"train": "a.csv"}, None),
     ("text", {"train": "a.csv"}, {"train": "./a.csv"}, None),
     ("text", {"train": "a.csv"}, {"train": "b.csv", "seed": 1}, None),
     ("text", {"train": "a.csv"}, {"train": "a.csv", "seed": 1}, "give --seed 0"),
     ("text", {"train": "a.csv"}, {"train": "a.csv", "label": "class"}, "pretrain anew with --data.label"),
     ("text", {"train": "a.csv"}, {"train": "a.csv", "test_share": 0.3}, "give --data.test-share 0.2"),
     ("text", {"train": "a.csv"}, {"train": "a.csv", "test": "b.csv"}, "leave out --data.test,"),
     ("text", {"train": "a.csv", "test": "b.csv"}, {"train": "a.csv"}, "give --data.test /"),
     ("text", {"train": "a.csv", "test": "b.csv"}, {"train": "a.csv", "test": "b.csv"}, None),
     ("text", {"train": "a.csv", "test": "b.csv", "validation": "c.csv"},
      {"train": "a.csv", "test": "b.csv", "validation": "c.csv", "seed": 1, "label": "class"}, None)],
)  # fmt: skip
def test_fine_tuning_that_would_be_judged_on_what_was_learned(
    name: str, learned: dict[str, Any], judged: dict[str, Any], says: str | None,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = find_task(f"masked-{name}").preset(None, None)
    content = content_of(f"masked-{name}", replace(before, data=replace(before.data, **learned)), tmp_path)
    after, seed = find_task(name).preset(None, "pretrained"), judged.get("seed", 0)
    after = replace(
        after, data=replace(after.data, **{k: v for k, v in judged.items() if k != "seed"}), seed=seed
    )
    if says is None:
        require_unseen("RUN", content, name, after)
        return
    with pytest.raises(UsageError, match="RUN may have learned from texts that this is judged on") as refused:
        require_unseen("RUN", content, name, after)
    assert says in str(refused.value)


# --- loss and figures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def at_work(file: Path) -> tuple[Any, Any, Any, Any]:
    task, config = find_task("masked-text"), small(file)
    prepared = task.prepare(config, quiet)
    facts = task.facts(prepared.tokenizer, [], config)
    torch.manual_seed(3)
    model = task.build_model(replace(config.model, **facts)).eval()
    for parameter in model.parameters():  # fresh weights guess nothing, and every loss is alike
        torch.nn.init.normal_(parameter, std=0.3)
    return task, config, prepared, model


def by_hand(model: Any, batch: dict[str, Any], everywhere: bool = False) -> tuple[float, int, int]:
    """From the logits of all places; everywhere: a mistake, the loss of what was read too."""
    logits = model(batch["ids"], batch["mask"]).double().log_softmax(-1)
    total, right, count = 0.0, 0, 0
    for row, labels in enumerate(batch["labels"].tolist()):
        for column, label in enumerate(labels):
            wanted = label
            if everywhere and label == NO_LABEL:
                wanted = int(batch["ids"][row, column])
            if wanted == NO_LABEL:
                continue
            total -= float(logits[row, column, wanted])
            right += int(logits[row, column].argmax()) == wanted
            count += 1
    return total / count, right, count


def test_the_loss_is_of_the_chosen_places_alone(at_work: Any) -> None:
    task, config, prepared, model = at_work
    batch = next(iter(task.batches(prepared.examples["train"], config, train=True)))
    with torch.no_grad():
        loss, right, count = task.loss(model, batch, 0.0)
        wanted, mistaken = by_hand(model, batch), by_hand(model, batch, everywhere=True)
    assert float(loss) == pytest.approx(wanted[0], rel=1e-5)
    assert (int(right), count) == wanted[1:]
    assert abs(float(loss) - mistaken[0]) > 1e-3  # the test would tell
    assert count < mistaken[2] / 3


def test_only_chosen_places_send_a_gradient(at_work: Any) -> None:
    task, config, prepared, model = at_work
    batch = next(iter(task.batches(prepared.examples["train"], config, train=True)))
    seen = []
    handle = model.encoder.register_forward_hook(lambda m, i, out: seen.append(out) or out.retain_grad())
    task.loss(model, batch, 0.0)[0].backward()
    handle.remove()
    touched = seen[0].grad.flatten(0, 1).abs().sum(1) > 0
    assert touched.nonzero()[:, 0].tolist() == batch["places"].tolist()
    model.zero_grad()


def test_figures_are_sums_over_all_that_was_left_out(at_work: Any) -> None:
    task, config, prepared, model = at_work
    examples = prepared.examples["validation"]
    batches = task.batches(examples, config, train=False)
    with torch.no_grad():
        answers = np.concatenate([task.answers(model, batch) for batch in batches])
        parts = [by_hand(model, batch) for batch in batches]
    figures = task.figures(answers[np.argsort(batches.order)], examples, [], prepared.tokenizer)
    count = sum(part[2] for part in parts)
    assert figures["count"] == count
    assert figures["accuracy"] == pytest.approx(sum(part[1] for part in parts) / count)
    assert math.log(figures["perplexity"]) == pytest.approx(sum(p[0] * p[2] for p in parts) / count, rel=1e-5)
    assert figures["texts"] == len(set(examples.hashes.tolist())) < len(examples)
    low, high = figures["accuracy_ci95"]
    assert low <= figures["accuracy"] <= high


def test_unigram_says_the_commonest_token(at_work: Any) -> None:
    task, config, prepared, _ = at_work
    sources = {"validation": prepared.inputs["validation"]}
    found = task.baseline_figures(prepared.inputs["train"], sources, [], 0, quiet)["unigram"]["validation"]
    left_out = [
        int(label)
        for batch in task.batches(prepared.examples["validation"], config, train=False)
        for label in batch["labels"].flatten()[batch["places"]]
    ]
    encoded, rows = prepared.examples["train"].encoded, prepared.examples["train"].rows
    ids = np.concatenate([encoded.ids[encoded.offsets[r] : encoded.offsets[r + 1]] for r in rows])
    counts = np.bincount(ids, minlength=prepared.tokenizer.get_vocab_size())
    assert found["count"] == len(left_out)
    assert found["accuracy"] == pytest.approx(np.mean([t == counts.argmax() for t in left_out]))
    p = (counts + 1) / (counts + 1).sum()
    assert found["perplexity"] == pytest.approx(np.exp(-np.mean([np.log(p[t]) for t in left_out])))


# --- runs -------------------------------------------------------------------------------------------------


def test_it_learns_a_small_language(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    ours, unigram = metrics["validation"], metrics["baselines"]["unigram"]["validation"]
    assert ours["accuracy"] > 0.6 > 0.3 > unigram["accuracy"]
    assert ours["perplexity"] < unigram["perplexity"] / 3
    assert ours["count"] == unigram["count"]
    assert "test" not in metrics
    assert (run / "learning_curves.png").exists() is False  # drawn by the command


def test_others_can_start_from_the_run(run: Path) -> None:
    source = find(str(run))
    model = yaml.safe_load((run / "config.yaml").read_text())["model"]
    assert (source.shape.vocab, source.shape.max_tokens) == (model["vocab"], 13)
    tokenizer = source.tokenizer()
    assert tokenizer.token_to_id("[MASK]") == MASK
    assert tokenizer.encode("the cat").tokens == ["the", "cat"]
    assert load_file(run / "model.safetensors")["encoder.embed.embedding.weight"].shape[0] == model["vocab"]


def test_stopped_and_resumed_equals_never_stopped(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("masked-text", small(file), str(tmp_path / "whole"), report=quiet)
    stopped = tmp_path / "stopped"
    original, steps = RunKeeper.on_train_batch_end, []

    def stop(self: RunKeeper, *words: Any) -> None:
        steps.append(1)
        if len(steps) == 9:
            self._interrupted.set()
        original(self, *words)

    with monkeypatch.context() as patch:
        patch.setattr(RunKeeper, "on_train_batch_end", stop)
        with pytest.raises(InterruptedRun, match=f"go on with: glassformer pretrain --resume {stopped}"):
            train("masked-text", small(file), str(stopped), report=quiet)
    assert main(["pretrain", "--resume", str(stopped)]) == 0
    first, second = (load_file(folder / "model.safetensors") for folder in (whole, stopped))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(UsageError, match="nothing is left to resume"):
        resume(str(stopped))


def test_the_command_says_what_repeats_it(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        f"pretrain text --data.train {file} --data.max-tokens 13 --model.layers 1 --model.d-model 8 "
        "--model.heads 2 --model.d-ff 8 --fit.epochs 1 --threads 1 --precision fp32"
    )
    assert main([*words.split(), "--run-dir", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert f"repeat: glassformer {words}" in out
    for part in ("validation tokens left out", "unigram", "drawn whole"):
        assert part in out
    again = ["pretrain", "text", "--config", str(tmp_path / "run" / "config.yaml")]
    assert main([*again, "--run-dir", str(tmp_path / "again")]) == 0
    first, second = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("run", "again"))
    assert first["validation"] == second["validation"]


def test_what_tune_advises_is_a_command_that_there_is(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        f"tune masked-text --data.train {file} --data.max-tokens 13 --model.layers 1 --model.d-model 8 "
        "--model.heads 2 --model.d-ff 8 --fit.epochs 1 --threads 1 --precision fp32 --trials 1 "
        f"--search optim.learning_rate=0.001,0.01 --study {tmp_path / 'study'}"
    )
    assert main(words.split()) == 0
    (advice,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("use it: ")]
    best = tmp_path / "study" / "best.yaml"
    assert advice == f"use it: glassformer pretrain text --config {best}"
    assert "\n# use: glassformer pretrain text --config best.yaml\n" in best.read_text()
    assert main([*advice.split()[3:], "--run-dir", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "metrics.json").is_file()


# --- what a run can be asked ------------------------------------------------------------------------------


def test_predict_fills_in_what_it_has_learnt(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["predict", str(run), "the [MASK] sat on the [MASK]", "she likes [MASK] apples", "--json"]) == 0
    )
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["output"] == "the cat sat on the mat"
    assert second["output"] == "she likes green apples"
    assert [len(mask) for mask in first["masks"]] == [5, 5]
    for mask in (*first["masks"], *second["masks"]):
        likeliest = list(mask.values())
        assert likeliest == sorted(likeliest, reverse=True)
        assert 0 < sum(likeliest) <= 1 + 1e-6


def test_the_probabilities_are_the_models(run: Path) -> None:
    loaded = glassformer.load(run)
    (said,) = loaded.predict(["a small [MASK] ran"])
    ids = torch.tensor([loaded.tokenizer.encode("a small [MASK] ran").ids])
    with torch.inference_mode():
        p = loaded.model(ids)[0, 2].softmax(-1)
    for token, probability in said.masks[0].items():
        assert probability == pytest.approx(float(p[loaded.tokenizer.token_to_id(token)]), rel=1e-4)


def test_told_as_a_small_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(run), "the [MASK] sat on the [MASK]"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "the [MASK] sat on the [MASK]"
    assert lines[1].strip() == "[MASK] 1 of 2"
    assert lines[2].split()[0] == "cat"
    assert len(lines) == 13


@pytest.mark.parametrize("command", ["evaluate RUN", "diagram RUN"])
def test_what_works_on_such_a_run(run: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command.replace("RUN", str(run)).split()) == 0
    if command.startswith("evaluate"):
        metrics = json.loads((run / "metrics.json").read_text())
        assert f"{metrics['validation']['accuracy']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says", "status"),
    [
        (["predict", "RUN", "no gap here"], "leaves nothing out; write [MASK]", 2),
        (["predict", "RUN", "the [mask] sat"], "leaves nothing out; write [MASK]", 2),
        (["predict", "RUN", "[MASK] " * 14], "has 14 tokens, and the run reads 13", 2),
        (["explain", "RUN", "the [MASK]"], "explain is for runs with a test split", 2),
        (["report", "RUN"], "report is for runs with a test split", 2),
        (["evaluate", "RUN", "--data.test", "FILE"], "leave out --data.test", 2),
        (
            ["compare", "masked-text", "--vary", "model.layers=1,2"],
            "compare is for runs with a test split",
            2,
        ),
        (["train", "masked-text", "--data.train", "FILE"], "give glassformer pretrain text", 2),
        (["train", "masked-imdb", "--help"], "give glassformer pretrain imdb", 2),
        (["smallest", "masked-text"], "has no finite number of inputs", 2),
        (["pretrain", "imbd"], "there is no task 'imbd' to pretrain on", 2),
        (["pretrain", "parity"], "there is no task 'parity' to pretrain on", 2),
        (["pretrain", "--seed", "1"], "pretrain wants the task first", 2),
        (["pretrain", "text"], "give --data.train FILE", 2),
        (["pretrain", "text", "--data.train", "MISSING"], "there is no file", 2),
        (["pretrain", "text", "--data.train", "EMPTY"], "is empty", 1),
        (["pretrain", "text", "--data.train", "HEADER"], "too few texts to hold one out", 1),
        (["pretrain", "text", "--data.train", "BLANK"], "stands among those to judge on", 1),
        (
            ["pretrain", "text", "--data.train", "FILE", "--data.validation", "STRANGE"],
            "the validation texts hold no known word",
            1,
        ),
        (["pretrain", "text", "--data.train", "FILE", "--data.text", "tekst"], "has no column 'tekst'", 2),
        (["pretrain", "text", "--data.train", "FILE", "--data.masked", "0"], "choose 0 < masked < 1", 2),
        (["pretrain", "text", "--data.train", "FILE", "--model.heads", "3"], "heads=3 does not divide", 2),
        (["pretrain", "text", "--resume", "RUN"], "--resume takes no task", 2),
        (["pretrain", "--resume", "RUN", "--seed", "1"], "takes no '--seed'", 2),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    words: list[str], says: str, status: int, run: Path, file: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").touch()
    write_csv(tmp_path / "header.csv", [])
    write_csv(tmp_path / "blank.csv", [(" ", "")] * 5)
    write_csv(tmp_path / "strange.csv", [("Жж Щщ", "")])
    meant = {name.upper(): f"{name}.csv" for name in ("empty", "header", "blank", "strange")}
    meant |= {"RUN": str(run), "FILE": str(file), "MISSING": "no.csv"}
    assert main([meant.get(word, word) for word in words]) == status
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("glassformer: ")
    assert says in error
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", PRETRAINING)
def test_presets_open_with_what_they_cost(name: str) -> None:
    for preset in find_task(name).presets.values():
        assert preset.cost.startswith(f"glassformer {find_task(name).command(name)} ")
        assert "2026" in preset.cost or "not measured" in preset.cost
