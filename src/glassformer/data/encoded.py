"""Examples as token numbers: one flat array on disk, cut by offsets, never padded until it is a batch."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from glassformer.errors import DataError


@dataclass(frozen=True)
class Encoded:
    """Rows of token numbers.

    ids: (all tokens,) uint16, or uint32 for a large vocabulary; may be memory-mapped. offsets: (rows + 1,)
    where each row begins. hashes: (rows,) of the texts, to find duplicates without keeping texts.
    """

    ids: np.ndarray
    offsets: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Examples:
    """Some rows of an `Encoded`, with their class numbers. rows, labels: (examples,)."""

    encoded: Encoded
    rows: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: np.ndarray) -> "Examples":
        """These examples, in this order."""
        return Examples(self.encoded, self.rows[rows], self.labels[rows])

    @property
    def lengths(self) -> np.ndarray:
        """(examples,) number of tokens."""
        return self.encoded.offsets[self.rows + 1] - self.encoded.offsets[self.rows]

    @property
    def hashes(self) -> np.ndarray:
        """(examples,) hashes of the texts."""
        return self.encoded.hashes[self.rows]


def encode(texts: Iterable[list[str]], tokenizer: Tokenizer, max_tokens: int, folder: Path) -> Encoded:
    """Writes the token numbers of lists of texts into `folder`, which appears whole or not at all.

    Each text is cut after `max_tokens`, those that the tokeniser puts around it included; one without any
    token becomes a single unknown one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint16 if tokenizer.get_vocab_size() <= 1 << 16 else np.uint32
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        lengths, hashes = [np.zeros(1, dtype=np.int64)], [np.zeros(0, dtype=np.uint64)]
        with open(Path(scratch) / "ids.bin", "wb") as file:
            for rows, row_hashes in _encoded_lists(texts, tokenizer, max_tokens):
                lengths.append(np.array([len(row) for row in rows], dtype=np.int64))
                hashes.append(np.array(row_hashes, dtype=np.uint64))
                file.write(np.concatenate(rows).astype(kind).tobytes())
        np.save(Path(scratch) / "offsets.npy", np.concatenate(lengths).cumsum())
        np.save(Path(scratch) / "hashes.npy", np.concatenate(hashes))
        (Path(scratch) / "dtype.txt").write_text(np.dtype(kind).name)
        finished = Path(scratch) / "finished"
        finished.mkdir()
        for name in ("ids.bin", "offsets.npy", "hashes.npy", "dtype.txt"):
            os.replace(Path(scratch) / name, finished / name)
        try:
            os.replace(finished, folder)
        except OSError:  # another process was faster with the same content
            if not folder.is_dir():
                raise
    return open_encoded(folder)


def open_encoded(folder: Path) -> Encoded:
    """Opens what `encode` wrote, memory-mapped. Raises DataError where it is incomplete."""
    try:
        offsets = np.load(folder / "offsets.npy", allow_pickle=False)
        hashes = np.load(folder / "hashes.npy", allow_pickle=False)
        ids = np.memmap(folder / "ids.bin", dtype=(folder / "dtype.txt").read_text(), mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"the cache {folder} is broken ({error}); delete that folder") from error
    if len(ids) != offsets[-1] or len(hashes) != len(offsets) - 1:
        raise DataError(f"the cache {folder} is broken (sizes differ); delete that folder")
    return Encoded(ids, offsets, hashes)


def encode_in_memory(texts: list[str], tokenizer: Tokenizer, max_tokens: int) -> Encoded:
    """The same for a few texts, without a file."""
    ((rows, hashes),) = _encoded_lists([texts], tokenizer, max_tokens)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Encoded(np.concatenate(rows), offsets, np.array(hashes, dtype=np.uint64))


def _encoded_lists(
    texts: Iterable[list[str]], tokenizer: Tokenizer, max_tokens: int
) -> Iterator[tuple[list[np.ndarray], list[int]]]:
    unknown = tokenizer.token_to_id("[UNK]") or 0
    special = tokenizer.num_special_tokens_to_add(is_pair=False)  # [CLS] and [SEP], of published ones
    for batch in texts:
        codes = tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        if special:
            for code in codes:
                code.truncate(max_tokens - special)
            codes = [tokenizer.post_process(code) for code in codes]
        rows = [np.array(code.ids[:max_tokens] or [unknown], dtype=np.int64) for code in codes]
        yield rows, [text_hash(text) for text in batch]


def text_hash(text: str) -> int:
    """A 64-bit hash of a text without its outer blanks."""
    return int.from_bytes(blake2b(text.strip().encode("utf-8", "replace"), digest_size=8).digest())
