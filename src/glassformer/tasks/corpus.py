"""Which texts are learned from without labels, and which stay unseen."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from glassformer.errors import DataError, UsageError
from glassformer.paths import user_path
from glassformer.tasks.config import TrainConfig
from glassformer.tasks.text_classification import TextData
from glassformer.tasks.text_sources import Source

if TYPE_CHECKING:
    import numpy as np

    from glassformer.data.files import TextFile
    from glassformer.data.masking import Pieces


@dataclass(frozen=True)
class Corpus:
    """learned: what is learned from. validation: what is judged. never: what must stay unseen besides.

    notes: what a reader of the results has to know of the choice.
    """

    learned: list[Source]
    validation: Source
    never: list[Source]
    notes: list[str] = field(default_factory=list)


def source_of(file: "TextFile", rows: "np.ndarray") -> Source:
    """These rows of a file, without labels."""
    import numpy as np

    return Source(file, rows, np.zeros(len(rows), dtype=np.int64))


def hold_out(
    file: "TextFile", config: TrainConfig[Any, Any], together: int = 1
) -> tuple["np.ndarray", "np.ndarray"]:
    """Rows to learn from, and rows held out in runs of so many together; see `stratified_split`."""
    import numpy as np

    from glassformer.data.splits import stratified_split

    rows = file.count_rows()
    if rows < 2:
        raise DataError(f"{file.path} has too few texts to hold one out; give at least two")
    return stratified_split(np.zeros(rows, int), config.data.validation_share, config.seed, [""], together)


def _hashes(source: Source) -> "np.ndarray":
    """(rows,) of the texts of a source."""
    import numpy as np

    from glassformer.data.encoded import text_hash

    return np.array([text_hash(text) for batch in source.texts() for text in batch], dtype=np.uint64)


def without_unseen(corpus: Corpus, config: TrainConfig[Any, Any]) -> tuple[Corpus, list[str]]:
    """What is learned from without every text that stands elsewhere too, and a share of that; notes on it."""
    import numpy as np

    from glassformer.data.splits import stratified_fraction

    unseen = np.concatenate([_hashes(each) for each in (corpus.validation, *corpus.never)])
    learned, left_out = [], 0
    for source in corpus.learned:
        free = ~np.isin(_hashes(source), unseen)
        left_out += int((~free).sum())
        kept = source.rows[free]
        share = stratified_fraction(np.zeros(len(kept), int), config.data.fraction, config.seed)
        learned.append(source_of(source.file, kept[share]))
    if not sum(len(each.rows) for each in learned):
        raise DataError("every text to learn from stands among those to judge on; give others")
    notes = [f"{left_out:,} texts are not learned from, since they are judged on somewhere"]
    return replace(corpus, learned=learned), [*corpus.notes, *(notes if left_out else [])]


def seed_of_run(content: Mapping[str, Any]) -> int | None:
    """The seed that fine-tuning on the same texts has to take; None where any may.

    content: a run's config.yaml. Another seed holds out other texts, of which the run has learned from some.
    """
    data = content.get("data", {})
    drawn = {
        "masked-imdb": data.get("labelled", False),
        "masked-text": not (data.get("validation") and data.get("test")),
    }
    return content["seed"] if drawn.get(content.get("task", ""), False) else None


def require_unseen(run: str, content: Mapping[str, Any], task: str, config: TrainConfig[Any, Any]) -> None:
    """Raises UsageError where fine-tuning would be judged on texts that the run has learned from.

    run, content: its name and its config.yaml. task, config: the fine-tuning. The splits are the same where
    the seed and all that they are drawn by agree. That is asked of the same data set or file alone: whether
    another file holds the same texts is not looked into.
    """
    try:
        drawn_by = _drawn_by(content, task, config.data)
    except KeyError as error:
        raise DataError(
            f"{run} is of another version (its config.yaml has no {error}); pretrain anew"
        ) from None
    for option, value in drawn_by.items():
        typed: Any = config.seed if option == "seed" else getattr(config.data, option)
        if option in ("validation", "test"):
            value, typed = _place(value), _place(typed)
        if value == typed:
            continue
        flag = "--seed" if option == "seed" else f"--data.{option.replace('_', '-')}"
        if option == "label":  # of which the file may have none by the run's name
            raise UsageError(
                f"{run} may have learned from texts that this is judged on: it did not know that labels "
                f"stand in the column {typed!r}; pretrain anew with --data.label {typed}"
            )
        fix = f"give {flag} {value}" if value != "" else f"leave out {flag}"
        raise UsageError(
            f"{run} may have learned from texts that this is judged on, since it was pretrained with another "
            f"{flag}; {fix}, or pretrain anew"
        )


def _drawn_by(content: Mapping[str, Any], task: str, data: Any) -> dict[str, Any]:
    """Option -> value of the run, of all that decides which of the same texts are held out."""
    seed, of_run = seed_of_run(content), content.get("data", {})
    pair = content.get("task"), task
    if pair == ("masked-imdb", "imdb"):
        return {} if seed is None else {"seed": seed, "validation_share": TextData().validation_share}
    if pair != ("masked-text", "text") or _place(of_run["train"]) != _place(data.train):
        return {}
    files = {split: of_run[split] for split in ("validation", "test")}
    if seed is None:
        return files
    shares = {f"{split}_share": of_run[f"{split}_share"] for split, path in files.items() if not path}
    return files | {"seed": seed, "label": of_run["label"], **shares}


def _place(path: str) -> str:
    return str(user_path(path).absolute()) if path else ""


def token_counts(examples: "Pieces") -> "np.ndarray":
    """(vocab,) how often each token stands in these pieces."""
    import numpy as np

    encoded = examples.encoded
    wanted = np.zeros(len(encoded), dtype=bool)
    wanted[examples.rows] = True
    ids = encoded.ids[: encoded.offsets[-1]][np.repeat(wanted, np.diff(encoded.offsets))]
    return np.bincount(ids, minlength=examples.vocab)
