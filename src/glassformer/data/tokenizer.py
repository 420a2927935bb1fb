"""Texts to token numbers: a tokeniser trained on the training texts alone.

0 is padding, 1 an unknown word. For sentiment, lower case, accents and HTML line breaks are dropped: the
smaller vocabulary is worth more than the capitals. Sequences to be written keep every sign.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from glassformer.errors import DataError

PADDING, UNKNOWN = "[PAD]", "[UNK]"
SPECIAL = [PADDING, UNKNOWN, "[START]", "[END]"]
"""Of a tokeniser for sequences that are written token by token; their numbers are their places."""
PAD, UNK, START, END = range(4)
LEFT_OUT = "[MASK]"
"""Stands for a token that is to be guessed."""
MASK = 2
"""Its number, in a tokeniser that has it; words follow."""
Kind = Literal["word", "bpe", "wordpiece"]


def train_tokenizer(
    texts: Iterable[list[str]], kind: Kind, vocab: int, more: Sequence[str] = ()
) -> Tokenizer:
    """Learns at most `vocab` tokens from lists of texts.

    word: the most frequent words, the rest unknown. bpe: byte-pair merges (Sennrich et al. 2016).
    wordpiece: the same idea with BERT's word-internal marks (Schuster & Nakajima 2012). more: tokens with a
    meaning of their own, numbered from 2 on.
    """
    model, trainer = {
        "word": (models.WordLevel(unk_token=UNKNOWN), trainers.WordLevelTrainer),
        "bpe": (models.BPE(unk_token=UNKNOWN), trainers.BpeTrainer),
        "wordpiece": (models.WordPiece(unk_token=UNKNOWN), trainers.WordPieceTrainer),
    }[kind]
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("<br />", " "),
            normalizers.NFKD(),
            normalizers.Lowercase(),
            normalizers.StripAccents(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(
        _one_by_one(texts),
        trainer(
            vocab_size=vocab,
            special_tokens=[PADDING, UNKNOWN, *more],
            show_progress=False,
            min_frequency=2,
        ),
    )
    if tokenizer.get_vocab_size() <= 2 + len(more):
        raise DataError("the training texts hold no word that occurs twice; give more or longer texts")
    return tokenizer


def symbol_tokenizer(symbols: str) -> Tokenizer:
    """A tokeniser whose tokens are single characters: `symbol_tokenizer("01")` for bit strings."""
    vocabulary = {PADDING: 0, UNKNOWN: 1} | {symbol: 2 + i for i, symbol in enumerate(symbols)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return tokenizer


def sequence_tokenizer(symbols: list[str], *, characters: bool) -> Tokenizer:
    """A tokeniser of known symbols, numbered from 4 on: single characters, or words between blanks.

    Raises ValueError for a symbol that is given twice, or is one of SPECIAL.
    """
    if len({*SPECIAL, *symbols}) < len(SPECIAL) + len(symbols):
        raise ValueError(f"every symbol needs a number of its own, and {SPECIAL} have theirs; got {symbols}")
    vocabulary = {symbol: number for number, symbol in enumerate([*SPECIAL, *symbols])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Split("", "isolated") if characters else pre_tokenizers.WhitespaceSplit()
    )
    return tokenizer


def _one_by_one(batches: Iterable[list[str]]) -> Iterator[str]:
    for texts in batches:
        yield from texts
