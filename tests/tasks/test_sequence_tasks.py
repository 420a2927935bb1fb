"""The tasks on sequences: what exists, who sees it, and what a user may type."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers import write_csv

from glassformer.errors import DataError, UsageError
from glassformer.tasks import find_task
from glassformer.tasks.base import Prepared
from glassformer.tasks.pairs import PairsTask

INTEGERS = {"reverse": lambda x: x[::-1], "sort": sorted, "copy": list}


def config_of(name: str, seed: int = 0, **data: Any):
    config = find_task(name).preset(None, None)
    return replace(config, seed=seed, data=replace(config.data, **data))


def prepare(name: str, seed: int = 0, **data: Any) -> Prepared:
    return find_task(name).prepare(config_of(name, seed, **data), lambda line: None)


def words(prepared: Prepared, tokens: np.ndarray) -> list[list[str]]:
    return [[prepared.tokenizer.id_to_token(int(each)) for each in row if each] for row in tokens]


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("shortest", [0, 1])
def test_every_sequence_exists_once_with_its_answer(name: str, shortest: int) -> None:
    prepared = prepare(name, length=3, alphabet=4, shortest=shortest, sequences=30)
    found = set()
    for examples in prepared.examples.values():
        for source, target in zip(
            words(prepared, examples.sources), words(prepared, examples.targets), strict=True
        ):
            integers = [int(each) for each in source]
            assert [int(each) for each in target] == list(INTEGERS[name](integers))
            found.add(tuple(integers))
    assert len(found) == sum(len(part) for part in prepared.examples.values())
    assert len(found) == (4**3 if shortest == 0 else 4 + 4**2 + 4**3)
    assert "every one of the" in prepared.notes[0]


def test_sizes_of_the_splits() -> None:
    sizes = {split: len(part) for split, part in prepare("reverse").examples.items()}
    assert sizes == {"train": 4500, "validation": 500, "test": 9**5 - 5000}
    few = {split: len(part) for split, part in prepare("reverse", length=2).examples.items()}
    assert few == {"train": 36, "validation": 4, "test": 41}  # half of 81 at most
    capped = prepare("reverse", length=9, judged=700)
    assert len(capped.examples["test"]) == 700
    assert "387,420,489 sequences exist" in capped.notes[0]


def test_splits_never_meet_and_follow_the_seed() -> None:
    first, again, other = (prepare("sort", seed) for seed in (3, 3, 4))
    hashes = [first.examples[split].hashes for split in ("train", "validation", "test")]
    assert len(np.unique(np.concatenate(hashes))) == 9**5
    assert first.checksums == again.checksums
    assert first.checksums["train"] != other.checksums["train"]


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_sums_are_right(digits: int) -> None:
    task, config = find_task("add"), config_of("add", digits=digits)
    prepared = task.prepare(config, lambda line: None)
    for split in ("train", "test"):
        examples = prepared.examples[split]
        rows = np.arange(0, len(examples), max(1, len(examples) // 500))
        for source, target in zip(
            words(prepared, examples.sources[rows]), words(prepared, examples.targets[rows]), strict=True
        ):
            a, b = "".join(source).split("+")
            assert len(a) == len(b) == digits
            assert len(target) == digits + 1
            assert task.written(target, "", config) == str(int(a) + int(b))
    if digits < 3:
        assert sum(len(part) for part in prepared.examples.values()) == 10 ** (2 * digits)


@pytest.mark.parametrize(
    ("name", "text", "tokens"),
    [
        ("reverse", "3 5 2 4 1", "3 5 2 4 1"),
        ("reverse", " [3, 5,2, 4, 1] ", "3 5 2 4 1"),
        ("reverse", "3,5,2,4,1", "3 5 2 4 1"),
        ("add", "58 + 964", "058+964"),
        ("add", "0007+0", "007+000"),
    ],
)
def test_inputs_are_read_as_people_write_them(name: str, text: str, tokens: str) -> None:
    assert find_task(name).source_tokens(text, config_of(name)) == tokens


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("reverse", "3 5 2 4 10", "'10' .* is not in the alphabet; give integers of 1 to 9"),
        ("reverse", "3 5 x 4 1", "'x' .* is not in the alphabet"),
        ("reverse", "0 5 3 4 1", "'0' .* is not in the alphabet"),
        ("reverse", "1 2 3 4 5 6", "has 6 integers, the run knows sequences of 5"),
        ("reverse", "1", "has 1 integer, the run"),
        ("sort", "[]", "holds no integer"),
        ("add", "12+3a", "'a' .* is not in the alphabet"),
        ("add", "12-3", "'-' .* is not in the alphabet"),
        ("add", "12", "is not a sum of two numbers"),
        ("add", "1+2+3", "is not a sum of two numbers"),
        ("add", "1234+1", "more than 3 digits"),
        ("pairs", "  ", "an empty source"),
        ("pairs", "x" * 129, "has 129 characters"),
    ],
)
def test_inputs_without_an_answer_are_refused(name: str, text: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        find_task(name).source_tokens(text, config_of(name))


def test_outputs_are_written_as_the_input_was() -> None:
    task, config = find_task("reverse"), config_of("reverse")
    assert task.written(["1", "4"], "4 1", config) == "1 4"
    assert task.written(["1", "4"], " [4, 1]", config) == "[1, 4]"
    add = find_task("add")
    assert add.written(["2", "2", "0", "1"], "58+964", config) == "1022"
    assert add.written(["0", "0"], "0+0", config) == "0"


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("reverse", {"length": 0}, "length=0"),
        ("reverse", {"shortest": 6}, "shortest=6 is out of range; choose 1 to 5"),
        ("reverse", {"length": 40}, "more than 2\\^61 sequences"),
        ("reverse", {"length": 300_000_000}, "more than 2\\^61 sequences"),
        ("reverse", {"judged": 1 << 23}, "judged=8388608 is out of range"),
        ("reverse", {"sequences": 1}, "sequences=1 is out of range"),
        ("reverse", {"validation_share": 1.0}, "validation_share=1.0"),
        ("reverse", {"judged": 0}, "judged=0"),
        ("add", {"digits": 10}, "digits=10"),
        ("pairs", {"fraction": 0.0}, "fraction=0.0"),
    ],
)
def test_data_that_cannot_be_made_is_refused(name: str, data: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        config_of(name, **data)


def test_too_few_sequences_are_refused() -> None:
    with pytest.raises(UsageError, match="2 sequences exist, too few"):
        prepare("copy", length=1, alphabet=2)


# --- pairs ------------------------------------------------------------------------------------------------

ROWS = [(f"{a} {b}", f"{b} {a}") for a in ("one", "two", "six", "ten") for b in ("red", "blue", "green")]


def pairs_file(folder: Path, rows: list[tuple[str, str]] = ROWS, name: str = "pairs.csv") -> str:
    return str(write_csv(folder / name, rows, ("source", "target")))


def test_pairs_are_split_and_cut_into_words_or_characters(tmp_path: Path) -> None:
    path = pairs_file(tmp_path)
    by_word = prepare("pairs", train=path, level="word", test_share=0.25, validation_share=0.2)
    assert [len(by_word.examples[split]) for split in ("train", "validation", "test")] == [7, 2, 3]
    together = [
        (" ".join(source), " ".join(target))
        for part in by_word.examples.values()
        for source, target in zip(words(by_word, part.sources), words(by_word, part.targets), strict=True)
    ]
    assert {pair for pair in together if "[UNK]" not in pair[0]} <= set(ROWS)
    by_character = prepare("pairs", train=path)
    source = words(by_character, by_character.examples["train"].sources)[0]
    assert "".join(source) in {pair[0] for pair in ROWS}


def test_pairs_report_duplicates_and_unknown_tokens(tmp_path: Path) -> None:
    train = pairs_file(tmp_path)
    test = pairs_file(tmp_path, [ROWS[0], ("one pink", "pink one")], "test.csv")
    prepared = prepare("pairs", train=train, test=test, level="word", validation_share=0.1)
    text = " | ".join(prepared.notes)
    assert "1 of 2 test sources stand in" in text
    assert "1 of 2 test targets hold a token outside the vocabulary of at most 10,000" in text


def test_pairs_predict_refuses_an_unknown_token(tmp_path: Path) -> None:
    task, config = find_task("pairs"), config_of("pairs", train=pairs_file(tmp_path), level="word")
    prepared = task.prepare(config, lambda line: None)
    assert len(task.encode(["one red"], prepared.tokenizer, config)[0]) == 1
    with pytest.raises(UsageError, match=r"'\[END\]' in 'one \[END\]' is not in the vocabulary"):
        task.encode(["one [END]"], prepared.tokenizer, config)
    with pytest.raises(UsageError, match="'pink' in 'one pink' is not in the vocabulary"):
        task.encode(["one pink"], prepared.tokenizer, config)


@pytest.mark.parametrize(
    ("rows", "error", "line"),
    [
        ([*ROWS, ("seven red", "")], DataError, "row 13 has no 'target'; fill it or delete the row"),
        ([*ROWS, (" ", "red seven")], DataError, "row 13 has no 'source'"),
        ([*ROWS, ("x" * 200, "y")], DataError, "row 13 has 200 characters in 'source', more than"),
        ([], DataError, "has no rows"),
        (ROWS[:2], DataError, "too few rows to hold out a test split"),
    ],
)
def test_bad_pairs_are_refused(tmp_path: Path, rows: list[Any], error: type, line: str) -> None:
    with pytest.raises(error, match=line):
        prepare("pairs", train=pairs_file(tmp_path, rows))


def test_a_task_that_prepares_pairs_itself_decides_what_is_bad(tmp_path: Path) -> None:
    class Cut(PairsTask):
        def prepare(self, config: Any, report: Any) -> Prepared:
            raise AssertionError("not asked for yet")

    long = config_of("pairs", train=pairs_file(tmp_path, [*ROWS, ("x" * 200, "y")]))
    with pytest.raises(DataError, match="row 13 has 200 characters"):
        PairsTask().require_data(long)
    Cut().require_data(long)


def test_a_word_that_is_a_token_of_the_models_is_refused(tmp_path: Path) -> None:
    path = pairs_file(tmp_path, [*ROWS, ("the [END]", "no")])
    with pytest.raises(DataError, match=r"row 13 has '\[END\]' in 'source', a token of the model's own"):
        prepare("pairs", train=path, level="word")
    assert prepare("pairs", train=path)  # as characters it is five


def test_pairs_want_their_file_and_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"give --data.train FILE"):
        prepare("pairs")
    with pytest.raises(UsageError, match=r"no column 'from'; name yours with --data.source"):
        prepare("pairs", train=pairs_file(tmp_path), source="from")
