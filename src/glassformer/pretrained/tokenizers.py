"""The tokeniser that a published model was trained with."""

from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from glassformer.errors import DataError
from glassformer.pretrained.checkpoint import read_json

TOKENIZER, VOCABULARY, SETTINGS = "tokenizer.json", "vocab.txt", "tokenizer_config.json"


def read_tokenizer(folder: Path, vocab: int) -> Tokenizer:
    """tokenizer.json, or BERT's word pieces from vocab.txt; without its own padding and truncation.

    vocab: rows of the embedding. Raises DataError where there is none, where it is broken, and where it has
    tokens for which the embedding has no row.
    """
    path = folder / (TOKENIZER if (folder / TOKENIZER).is_file() else VOCABULARY)
    if not path.is_file():
        raise DataError(
            f"{folder} has neither {TOKENIZER} nor {VOCABULARY}, so texts cannot be read as it was trained; "
            "fetch the folder again"
        )
    try:
        is_json = path.name == TOKENIZER
        tokenizer = Tokenizer.from_file(str(path)) if is_json else _word_pieces(path, folder, vocab)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tried = [number for text in ("", "a", "\u2603") for number in tokenizer.encode(text).ids]
    except Exception as error:  # the library raises bare Exceptions
        raise DataError(f"{path} is broken ({error}); fetch it again") from error
    highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    highest = max([highest, *tried])
    if highest < 0:
        raise DataError(f"{path} has no tokens; fetch it again")
    if highest >= vocab:
        word = tokenizer.id_to_token(highest)
        raise DataError(
            f"{path} has {word!r} as token {highest}, but the embedding has {vocab} rows; the tokeniser is "
            "not that of the model: take both from one place"
        )
    return tokenizer


def _word_pieces(path: Path, folder: Path, vocab: int) -> Tokenizer:
    """BERT's reading of vocab.txt (Devlin et al. 2019, and its code); lower case unless told otherwise."""
    with path.open(encoding="utf-8", newline="\n") as file:
        # one more than the embedding has tells that they disagree; no file is read without end
        words = [line.rstrip("\r\n") for line in islice(file, vocab + 1)]
    vocabulary = {word: number for number, word in enumerate(words)}
    if len(vocabulary) != len(words):
        raise ValueError("a word stands in it twice")
    lower = True
    if (folder / SETTINGS).is_file():
        lower = bool(read_json(folder / SETTINGS).get("do_lower_case", True))
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = [(name, vocabulary[name]) for name in ("[SEP]", "[CLS]")]
    tokenizer.post_processor = processors.BertProcessing(*special)
    tokenizer.add_special_tokens(
        [each for each in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if each in vocabulary]
    )
    return tokenizer
