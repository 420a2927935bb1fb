from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers import reviews, write_csv, write_jsonl, write_parquet

from glassformer.data.labels import class_names_of
from glassformer.data.splits import draw_distinct
from glassformer.errors import DataError, UsageError
from glassformer.paths import user_path
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.base import PRETRAINED, Prepared
from glassformer.tasks.classification import Prediction


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLASSFORMER_DATA", raising=False)


def prepare(name: str, seed: int = 0, data_dir: Path | None = None, **data: Any) -> Prepared:
    task = find_task(name)
    config = task.preset(None, None)
    config = replace(
        config, seed=seed, data=replace(config.data, **data), data_dir=str(data_dir) if data_dir else None
    )
    return task.prepare(config, lambda line: None)


def texts(prepared: Prepared, split: str) -> list[str]:
    return list(prepared.inputs[split].read()[0])


# --- text -------------------------------------------------------------------------------------------------


def test_text_splits_are_disjoint_stratified_and_complete(tmp_path: Path) -> None:
    words, labels = reviews(200)
    path = write_csv(
        tmp_path / "a.csv", [(t, ("bad", "good")[y]) for t, y in zip(words, labels, strict=True)]
    )
    prepared = prepare("text", train=str(path))
    assert prepared.class_names == ["bad", "good"]
    parts = [texts(prepared, split) for split in ("train", "validation", "test")]
    assert sorted(text for part in parts for text in part) == sorted(words)
    assert [len(part) for part in parts] == [144, 16, 40]
    share = np.mean(labels)
    for split in ("train", "test"):
        assert abs(prepared.examples[split].labels.mean() - share) < 0.03
    label_of = dict(zip(words, labels, strict=True))
    for split, part in zip(("train", "validation", "test"), parts, strict=True):
        assert [label_of[text] for text in part] == prepared.examples[split].labels.tolist()


def test_encoded_rows_are_those_of_the_texts(tmp_path: Path) -> None:
    words, labels = reviews(80)
    path = write_csv(tmp_path / "a.csv", list(zip(words, labels, strict=True)))
    prepared = prepare("text", train=str(path))
    for split, examples in prepared.examples.items():
        for text, row in zip(texts(prepared, split), examples.rows, strict=True):
            encoded = examples.encoded
            tokens = encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
            assert tokens == prepared.tokenizer.encode(text).ids


def test_given_files_are_used_as_they_are(tmp_path: Path) -> None:
    files = {}
    for split, count in (("train", 60), ("validation", 20), ("test", 30)):
        words, labels = reviews(count, seed=count)
        files[split] = str(write_jsonl(tmp_path / f"{split}.jsonl", list(zip(words, labels, strict=True))))
    prepared = prepare("text", **files)
    assert {split: len(part) for split, part in prepared.examples.items()} == {
        "train": 60,
        "validation": 20,
        "test": 30,
    }
    assert prepared.class_names == ["0", "1"]


def test_the_tokeniser_sees_training_texts_alone(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "a.csv", [("aa bb aa bb", i % 2) for i in range(20)])
    test = write_csv(tmp_path / "b.csv", [("zz zz zz", i % 2) for i in range(20)])
    prepared = prepare("text", train=str(train), test=str(test), tokenizer="word")
    assert prepared.tokenizer.token_to_id("zz") is None
    assert prepared.tokenizer.token_to_id("aa") is not None


def test_duplicates_across_splits_are_told(tmp_path: Path) -> None:
    words, labels = reviews(60)
    train = write_csv(tmp_path / "a.csv", list(zip(words, labels, strict=True)))
    others, _ = reviews(10, seed=9)
    rows = [(f"{text} other", 1) for text in others] + [(" " + words[0], labels[0])] * 2
    test = write_csv(tmp_path / "b.csv", rows)
    prepared = prepare("text", train=str(train), test=str(test), validation=str(train))
    assert "2 of 12 test texts stand in train too" in prepared.notes
    assert "60 of 60 validation texts stand in train too" in prepared.notes


def test_texts_that_are_cut_or_empty_and_classes_that_look_alike_are_told(tmp_path: Path) -> None:
    rows = [(f"{'word ' * (3 + i % 4)}", "Aab"[i % 3]) for i in range(30)]  # 3 to 6 tokens
    rows += [("  ", "a"), ("", "b")]
    path = write_csv(tmp_path / "a.csv", rows)
    prepared = prepare("text", train=str(path), tokenizer="word", max_tokens=5)
    lengths = [len(text.split()) for text in texts(prepared, "train")]
    cut = sum(length >= 5 for length in lengths)
    assert 0 < cut < len(lengths)
    assert prepared.notes[:3] == [
        "classes that differ in capitals alone: A, a",
        "2 of 32 texts are empty",
        f"{cut} of {len(lengths)} train texts reach 5 tokens, after which a text is cut",
    ]
    rows = [(f"{'word ' * 3}{i}", "ab"[i % 2]) for i in range(30)]
    prepared = prepare("text", train=str(write_csv(tmp_path / "b.csv", rows)), tokenizer="word", max_tokens=5)
    assert prepared.notes == []


def test_fraction_cuts_train_alone(tmp_path: Path) -> None:
    words, labels = reviews(200)
    path = write_csv(tmp_path / "a.csv", list(zip(words, labels, strict=True)))
    whole, part = prepare("text", train=str(path)), prepare("text", train=str(path), fraction=0.25)
    assert len(part.examples["train"]) == pytest.approx(0.25 * len(whole.examples["train"]), abs=1)
    for split in ("validation", "test"):
        assert texts(part, split) == texts(whole, split)


def test_encoding_is_cached_and_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, labels = reviews(50)
    path = write_csv(tmp_path / "a.csv", list(zip(words, labels, strict=True)))
    first = prepare("text", train=str(path))
    monkeypatch.setattr("glassformer.data.encoded.encode", None)
    monkeypatch.setattr("glassformer.data.tokenizer.train_tokenizer", None)
    again = prepare("text", train=str(path))
    assert again.examples["train"].encoded.ids.tolist() == first.examples["train"].encoded.ids.tolist()
    write_csv(path, list(zip(words[1:], labels[1:], strict=True)))
    with pytest.raises(TypeError):  # a changed file is encoded anew
        prepare("text", train=str(path))


def test_labels_are_sorted_as_numbers_where_they_are_numbers(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [(f"word word {i}", [2, 10, 1][i % 3]) for i in range(60)])
    assert prepare("text", train=str(path)).class_names == ["1", "2", "10"]


def test_one_class_only(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("some words", "good")] * 9)
    with pytest.raises(DataError, match=r"one class only \('good'\)"):
        prepare("text", train=str(path))


def test_a_label_unseen_in_training(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "a.csv", [("some words", "ab"[i % 2]) for i in range(20)])
    test = write_csv(tmp_path / "b.csv", [("some words", "a"), ("more words", "c")])
    with pytest.raises(
        DataError, match=r"row 2 has the label 'c', which training does not have \(it has a, b\)"
    ):
        prepare("text", train=str(train), test=str(test))


def test_two_files_of_one_name_are_two_files(tmp_path: Path) -> None:
    paths = []
    for folder, word in (("one", "alpha"), ("two", "omega")):
        (tmp_path / folder).mkdir()
        rows = [(f"{word} {word} {i}", "ab"[i % 2]) for i in range(30)]
        paths.append(str(write_csv(tmp_path / folder / "data.csv", rows)))
    prepared = prepare("text", train=paths[0], test=paths[1], tokenizer="word")
    assert prepared.checksums["train"] != prepared.checksums["test"]
    for split, known in (("train", True), ("test", False)):
        examples = prepared.examples[split]
        first = examples.encoded.ids[examples.encoded.offsets[examples.rows[0]]]
        assert (first != 1) == known


def test_a_broken_cached_vocabulary_is_made_anew(tmp_path: Path) -> None:
    words, labels = reviews(50)
    path = write_csv(tmp_path / "a.csv", list(zip(words, labels, strict=True)))
    whole = prepare("text", train=str(path)).tokenizer.to_str()
    (cached,) = (tmp_path / "cache" / "tokenizers").iterdir()
    cached.write_text("{")
    assert prepare("text", train=str(path)).tokenizer.to_str() == whole


def test_equal_numbers_keep_one_order() -> None:
    assert class_names_of(["1", "01", "001", "2"], Path("x"), "texts") == ["001", "01", "1", "2"]


def test_no_file_to_train_on() -> None:
    with pytest.raises(UsageError, match=r"give --data\.train FILE"):
        prepare("text")


# --- imdb -------------------------------------------------------------------------------------------------


@pytest.fixture
def imdb_folder(tmp_path: Path) -> Path:
    for split, count in (("train", 120), ("test", 40)):
        write_parquet(tmp_path / "data" / "imdb" / f"{split}.parquet", *reviews(count, seed=count))
    return tmp_path / "data"


def test_imdb_holds_validation_out_of_train(imdb_folder: Path) -> None:
    prepared = prepare("imdb", data_dir=imdb_folder)
    assert prepared.class_names == ["negative", "positive"]
    assert {split: len(part) for split, part in prepared.examples.items()} == {
        "train": 108,
        "validation": 12,
        "test": 40,
    }
    assert not set(texts(prepared, "train")) & set(texts(prepared, "validation"))


def test_imdb_finds_the_folder_by_the_environment(imdb_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSFORMER_DATA", str(imdb_folder))
    assert len(prepare("imdb").examples["test"]) == 40


def test_imdb_folder_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*imdb.train\.parquet; --data-dir"):
        prepare("imdb", data_dir=tmp_path)


# --- parity -----------------------------------------------------------------------------------------------


def test_parity_labels_and_disjoint_splits() -> None:
    prepared = prepare("parity", bits=7, strings=128)
    parts = {split: texts(prepared, split) for split in ("train", "validation", "test")}
    assert len(parts["test"]) == 64
    assert sorted(text for part in parts.values() for text in part) == sorted(f"{i:07b}" for i in range(128))
    for split, part in parts.items():
        assert [text.count("1") % 2 for text in part] == prepared.examples[split].labels.tolist()
        examples = prepared.examples[split]
        encoded = examples.encoded
        for text, row in zip(part, examples.rows, strict=True):
            tokens = encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
            assert tokens == prepared.tokenizer.encode(text).ids


def test_parity_depends_on_the_seed() -> None:
    assert texts(prepare("parity", seed=1), "train")[:50] == texts(prepare("parity", seed=1), "train")[:50]
    assert texts(prepare("parity", seed=1), "train")[:50] != texts(prepare("parity", seed=2), "train")[:50]


def test_long_strings_are_drawn_distinct() -> None:
    for below, count in ((1 << 40, 5000), (1 << 16, 16000), (100, 99), (7, 50)):
        drawn = draw_distinct(np.random.default_rng(0), below, count)
        assert len(set(drawn.tolist())) == len(drawn) == min(below, count)
        assert 0 <= drawn.min() <= drawn.max() < below


@pytest.mark.parametrize("text", ["", "0" * 15 + "2", "yes", "0101", "0" * 17])
def test_parity_predicts_strings_of_its_length_only(text: str) -> None:
    task = find_task("parity")
    with pytest.raises(UsageError, match="is not a string of 16 bits"):
        task.check_input(text, task.preset(None, None))
    assert task.check_input("0101 " * 4, task.preset(None, None)) == "0101" * 4


def test_parity_refuses_empty_splits() -> None:
    with pytest.raises(UsageError, match="leave a split empty"):
        prepare("parity", bits=3, strings=8, train_share=0.95)


# --- the table --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TASKS)
def test_every_preset_builds_its_model_and_names_its_cost(name: str) -> None:
    task = find_task(name)
    assert set(task.default_preset.values()) <= set(task.presets)
    for preset in task.presets.values():
        assert "glassformer train" in preset.cost
        known = {"vocab": 11, "classes": 3, "max_tokens": 5, "channels": 3, "height": 64, "width": 64}
        if preset.config.model.name == PRETRAINED:  # which has its sizes from a checkpoint
            known |= {"layers": 2, "heads": 2, "d_model": 8, "d_ff": 12, "patch": 8}
        names = {field.name for field in fields(preset.config.model)}
        model = task.build_model(
            replace(preset.config.model, **{name: known[name] for name in names & set(known)})
        )
        assert sum(p.numel() for p in model.parameters()) > 0


def test_a_task_from_outside() -> None:
    assert find_task("glassformer.tasks.parity:ParityTask").name == "parity"
    with pytest.raises(UsageError, match="cannot be loaded"):
        find_task("glassformer.tasks.parity:Nothing")
    for other in ("collections:OrderedDict", "os:abort"):  # neither made nor called
        with pytest.raises(UsageError, match="derive it from that class"):
            find_task(other)


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no task 'imdbb'; did you mean imdb\?"):
        find_task("imdbb")
    with pytest.raises(UsageError, match=r"no preset 'cpuu'; did you mean cpu\?"):
        find_task("imdb").preset("cpuu", None)
    with pytest.raises(UsageError, match=r"no model 'recurent'; did you mean recurrent\?"):
        find_task("imdb").preset(None, "recurent")
    with pytest.raises(UsageError, match=r"preset cpu is for model\.name=transformer"):
        find_task("imdb").preset("cpu", "recurrent")


def test_paths_may_begin_with_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert user_path("~/pets") == tmp_path / "pets"
    assert user_path("~pets.csv") == Path("~pets.csv")  # a file of that name, and nobody's home


def test_an_answer_names_the_likeliest_others_and_sums_up_the_rest() -> None:
    shares = dict(zip("0123456789", (0.02, 0.5, 0.01, 0.2, 0.1, 0.03, 0.04, 0.06, 0.03, 0.01), strict=True))
    told = find_task("digits").told(Prediction("a.png", "1", shares))
    assert told == "1 50.0% (3 20.0%, 4 10.0%, 7 6.0%, 6 4.0%, 5 more 10.0%): a.png"
    six = dict(zip("abcdef", (0.5, 0.2, 0.12, 0.1, 0.06, 0.02), strict=True))
    assert find_task("images").told(Prediction("a.png", "a", six)).startswith("a 50.0% (b 20.0%, c 12.0%, d")
    assert "e 6.0%, f 2.0%)" in find_task("images").told(Prediction("a.png", "a", six))
    told = find_task("imdb").told(Prediction("Dull.", "negative", {"negative": 0.75, "positive": 0.25}))
    assert told == "negative 75.0% (positive 25.0%): Dull."


def test_a_long_input_is_repeated_by_its_beginning_and_a_path_whole() -> None:
    """Also a text longer than any file's name may be, with a dot in it."""
    text = "A wonderful film.\n" * 40 + "x"
    shown = find_task("imdb").shown(text)
    assert len(shown) == 60
    assert shown.startswith("A wonderful film. A wonderful")
    assert shown.endswith("...")
    path = "a/very/long/folder/" * 10 + "cat.png"
    assert find_task("digits").shown(path) == path
