import os
from pathlib import Path

import numpy as np
import pytest

from glassformer.data.encoded import encode, encode_in_memory, open_encoded, text_hash
from glassformer.data.tokenizer import symbol_tokenizer, train_tokenizer
from glassformer.errors import DataError

TEXTS = [["one two", "two"], ["", "three three two one"]]


@pytest.fixture
def tokenizer():
    return train_tokenizer([["one two three two one three"]], "word", 10)


def test_encoding_keeps_rows_and_cuts(tmp_path: Path, tokenizer) -> None:
    encoded = encode(TEXTS, tokenizer, 3, tmp_path / "cache" / "x")
    number = tokenizer.get_vocab()
    rows = [encoded.ids[a:b].tolist() for a, b in zip(encoded.offsets, encoded.offsets[1:], strict=False)]
    words = [["one", "two"], ["two"], ["[UNK]"], ["three", "three", "two"]]
    assert rows == [[number[word] for word in row] for row in words]
    assert encoded.ids.dtype == np.uint16
    assert len(encoded) == 4
    assert encoded.hashes[1] == text_hash(" two ")


def test_memory_and_disk_agree(tmp_path: Path, tokenizer) -> None:
    flat = [text for batch in TEXTS for text in batch]
    memory, disk = encode_in_memory(flat, tokenizer, 3), encode(TEXTS, tokenizer, 3, tmp_path / "x")
    assert memory.ids.tolist() == disk.ids.tolist()
    assert memory.offsets.tolist() == disk.offsets.tolist()
    assert memory.hashes.tolist() == disk.hashes.tolist()


def test_a_failure_leaves_nothing(tmp_path: Path, tokenizer) -> None:
    def broken():
        yield ["one"]
        raise DataError("the file ends here")

    with pytest.raises(DataError, match="ends here"):
        encode(broken(), tokenizer, 3, tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_a_broken_cache_is_refused(tmp_path: Path, tokenizer) -> None:
    encode(TEXTS, tokenizer, 3, tmp_path / "x")
    (tmp_path / "x" / "ids.bin").write_bytes(b"\1\0")
    with pytest.raises(DataError, match="delete that folder"):
        open_encoded(tmp_path / "x")


def test_padding_is_zero_and_unknown_one(tokenizer) -> None:
    assert tokenizer.token_to_id("[PAD]") == 0
    assert tokenizer.token_to_id("[UNK]") == 1
    assert symbol_tokenizer("01").encode("10x").ids == [3, 2, 1]


@pytest.mark.parametrize("kind", ["word", "bpe", "wordpiece"])
def test_vocabulary_is_bounded_and_normalised(kind) -> None:
    texts = ["the cat sat on the mat", "the dog sat", "a café<br />and the cat"] * 5
    tokenizer = train_tokenizer([texts], kind, 40)
    assert tokenizer.get_vocab_size() <= 40
    assert tokenizer.encode("The CAT").ids == tokenizer.encode("the cat").ids
    assert tokenizer.encode("cat<br />cat").ids == tokenizer.encode("cat cat").ids
    assert tokenizer.encode("café").ids == tokenizer.encode("cafe").ids


def test_texts_without_a_word_are_refused() -> None:
    with pytest.raises(DataError, match="no word that occurs twice"):
        train_tokenizer([["", " "]], "word", 40)
