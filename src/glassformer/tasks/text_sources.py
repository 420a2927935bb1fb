"""Texts of some rows of a file, the vocabulary learned from them, and their tokens; both out of the cache."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from glassformer.cache import cache_folder, cache_key, write_atomically
from glassformer.tasks.base import Report

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

    from glassformer.data.encoded import Encoded
    from glassformer.data.files import TextFile

TOKENS_FORMAT = 1
"""Rises when the tokeniser or the encoding changes, so that no older cache entry is read."""


@dataclass(frozen=True)
class Source:
    """Where the rows of one split come from: some rows of a file. rows: (examples,)."""

    file: "TextFile"
    rows: "np.ndarray"
    labels: "np.ndarray"

    def texts(self) -> Iterator[list[str]]:
        """The texts of these rows, in the file's order, some thousand file rows at a time."""
        import numpy as np

        first = 0
        for batch in self.file.texts():
            wanted = self.rows[
                np.searchsorted(self.rows, first) : np.searchsorted(self.rows, first + len(batch))
            ]
            yield [batch[row - first] for row in wanted]
            first += len(batch)

    @property
    def digest(self) -> str:
        """Tells one choice of rows from another."""
        from hashlib import sha256

        return sha256(self.rows.tobytes()).hexdigest()


def learned_tokenizer(
    sources: Sequence[Source], key: str, data: Any, report: Report, more: Sequence[str] = ()
) -> "Tokenizer":
    """The tokeniser of data.tokenizer's kind with data.vocab entries at most, learned from these texts.

    key: of the cache; it tells the texts and the options. more: tokens with a meaning of their own.
    """
    from tokenizers import Tokenizer

    from glassformer.data.tokenizer import train_tokenizer

    path = cache_folder() / "tokenizers" / f"{key}.json"
    with suppress(Exception):  # the library raises bare Exceptions; a missing or broken file is made anew
        return Tokenizer.from_file(str(path))
    count = sum(len(source.rows) for source in sources)
    report(f"learning a vocabulary of at most {data.vocab:,} tokens from {count:,} texts")
    texts = chain.from_iterable(source.texts() for source in sources)
    tokenizer = train_tokenizer(texts, data.tokenizer, data.vocab, more)
    write_atomically(path, lambda scratch: tokenizer.save(str(scratch)))
    return tokenizer


def encoded_file(
    file: "TextFile", checksum: str, tokenizer: "Tokenizer", key: str, max_tokens: int, report: Report
) -> "Encoded":
    """All texts of a file as tokens, each cut after max_tokens. key: of the tokeniser."""
    from glassformer.data.encoded import encode, open_encoded
    from glassformer.progress import with_progress

    folder = cache_folder() / "encoded" / cache_key(TOKENS_FORMAT, checksum, key, max_tokens)
    if folder.is_dir():
        return open_encoded(folder)
    report(f"encoding {file.path.name}")
    texts = with_progress(file.texts(), len, file.count_rows(), f"encoding {file.path.name}")
    return encode(texts, tokenizer, max_tokens, folder)
