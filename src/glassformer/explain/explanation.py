"""One input explained: prediction, attention, attributions, heads that count, and what can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from glassformer.errors import DataError, UsageError
from glassformer.explain.ablation import Ablated, ablate_heads
from glassformer.explain.capture import captured_attention
from glassformer.explain.faithfulness import Faithfulness, attribute, in_pieces, measure_faithfulness, methods
from glassformer.explain.questions import ImageQuestion, Question, SequenceQuestion, ask, require_explainable
from glassformer.tasks.base import Report
from glassformer.tasks.text_classification import TextClassification
from glassformer.training.judge import on_device
from glassformer.training.loaded import LoadedRun
from glassformer.training.run_folder import require_same_data

CLS = "[CLS]"


@dataclass(frozen=True)
class Map:
    """The attention of one layer over the input: weights (heads queries keys), and what stands where."""

    kind: str
    layer: int
    weights: np.ndarray
    queries: list[str]
    keys: list[str]


@dataclass(frozen=True)
class Explanation:
    """All that a page about one input shows.

    told: the answer on one line. parts: the tokens; of an image, the patches' places. text, spans: the text
    as it was typed, and where each token stands in it. picture: (channels height width) uint8; grid: (rows,
    columns) of patches. written: the tokens of an answer that is a sequence, one row of an attribution each;
    a class is one row. attributions: name -> (rows parts), the positive speaking for the answer.
    """

    task: str
    run: str
    told: str
    answer: str
    parts: list[str]
    attributions: dict[str, np.ndarray]
    maps: list[Map]
    text: str | None = None
    spans: list[tuple[int, int]] | None = None
    picture: np.ndarray | None = None
    grid: tuple[int, int] | None = None
    written: list[str] = field(default_factory=list)
    cls: bool = False
    accuracy: float | None = None
    judged: int = 0
    ablation: list[Ablated] = field(default_factory=list)
    faithfulness: list[Faithfulness] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def verdict(self, method: str) -> Faithfulness | None:
        """What was measured of an attribution, if it was."""
        return next((each for each in self.faithfulness if each.name == method), None)


def explain(
    run: LoadedRun,
    given: str,
    *,
    examples: int = 300,
    ablation: bool = True,
    seed: int = 0,
    data_dir: str | None = None,
    report: Report = lambda line: None,
) -> Explanation:
    """Looks into a run's model at work on one input, and measures on validation what that is worth.

    examples: of validation, drawn by the seed; the test split is not touched. Where the training data is not
    at hand, what needs them is left out, with a note.
    Raises UsageError for an input or a model that cannot be explained, DataError for a broken image.
    """
    run.task.require_answers("explain")
    require_explainable(run.model, run.task_name)
    if examples < 2:
        raise UsageError(f"examples={examples} has no interval; choose 2 or more, 300 for one worth having")
    asked, notes = _encoded(run, given)
    device = run.machine.device
    with torch.autocast(device.type, torch.bfloat16, enabled=run.machine.precision == "bf16"):
        batches, missing = _validation(run, examples, seed, data_dir, report)
        notes += missing
        mean = _mean_image(batches)
        (batch,) = _on_device(run, asked)
        question = ask(run.task, run.model, batch, mean=mean)
        if not len(question):
            raise UsageError(
                f"the model writes nothing for {run.task.shown(given)!r}; there is nothing to explain"
            )
        attributions = {name: _attributed(name, question) for name in methods(run.model)}
        with torch.no_grad(), captured_attention(run.model) as attended:
            # all written tokens are rows of one sequence, so the last row has seen all of it
            question.take(slice(len(question) - 1, len(question))).logits()
        accuracy, switched = None, []
        if batches and ablation and attended:
            accuracy, switched = ablate_heads(run.task, run.model, batches)
        measured = []
        if batches:
            questions = [ask(run.task, run.model, each, mean=mean, seed=seed) for each in batches]
            measured = measure_faithfulness(questions, seed=seed)
    if not attended:
        notes.append(f"a {run.config.model.name} model has no attention: only gradients are shown")
    (prediction,) = run.predict([given])
    described = _described(run, given, question, batch)
    cls = getattr(run.model, "cls", None) is not None
    return Explanation(
        task=run.task_name,
        run=str(run.folder),
        told=run.task.told(prediction),
        answer=getattr(prediction, "label", None) or getattr(prediction, "output", ""),
        attributions=attributions,
        maps=[
            _map(each.kind, each.layer, each.weights[0].float().cpu().numpy(), described, cls)
            for each in attended
        ],
        cls=cls,
        accuracy=accuracy,
        judged=sum(len(each["labels"]) for each in batches),
        ablation=switched,
        faithfulness=measured,
        notes=notes,
        **described,
    )


def _encoded(run: LoadedRun, given: str) -> tuple[Any, list[str]]:
    if not given.strip():
        raise UsageError("an empty input cannot be explained; give a word or more, or a file")
    examples, notes = run.task.encode([given], run.tokenizer, run.config)
    if isinstance(run.task, TextClassification):
        assert run.tokenizer is not None
        text = run.task.check_input(given, run.config)
        count, most = len(run.tokenizer.encode(text).ids), run.task.longest(run.config)
        if count > most:
            raise UsageError(
                f"the text has {count:,} tokens, the model reads {most:,}; "
                "shorten it, so that no part is left out"
            )
    return examples, notes


def _validation(
    run: LoadedRun, count: int, seed: int, data_dir: str | None, report: Report
) -> tuple[list[dict[str, Any]], list[str]]:
    config = run.config if data_dir is None else replace(run.config, data_dir=data_dir)
    try:
        prepared = run.task.prepare(config, report)
        require_same_data(run.folder, prepared)
    except (UsageError, DataError) as error:
        return [], [f"neither heads nor faithfulness are measured, since the data is not at hand: {error}"]
    held_out = prepared.examples["validation"]
    rows = np.sort(np.random.default_rng(seed).permutation(len(held_out))[:count])
    if len(rows) < 2:
        return [], [
            "neither heads nor faithfulness are measured: there are fewer than two validation examples"
        ]
    return _on_device(run, held_out.take(rows)), []


def _on_device(run: LoadedRun, examples: Any) -> list[dict[str, Any]]:
    batches = run.task.batches(examples, run.config, train=False)
    return [on_device(batch, run.machine.device) for batch in batches]


def _mean_image(batches: Sequence[dict[str, Any]]) -> Any:
    images = [batch["images"] for batch in batches if "images" in batch]
    return torch.cat(images).mean(0) if images else None


def _attributed(name: str, question: Question) -> np.ndarray:
    found = [attribute(name, piece).cpu().numpy() for piece in in_pieces(question)]
    return np.concatenate(found)[:, : int(question.real.sum(1).max())]


def _described(run: LoadedRun, given: str, question: Question, batch: dict[str, Any]) -> dict[str, Any]:
    if isinstance(question, ImageQuestion):
        side = question.model.config.patch
        rows, columns = (n // side for n in question.images.shape[2:])
        pixels = np.rint((batch["images"][0].cpu().numpy() + 1) * 127.5).astype(np.uint8)
        places = [f"row {1 + i // columns}, column {1 + i % columns}" for i in range(rows * columns)]
        return {"parts": places, "picture": pixels, "grid": (rows, columns)}
    assert run.tokenizer is not None
    if isinstance(question, SequenceQuestion):
        name = run.tokenizer.id_to_token
        source = [str(name(each)) for each in question.source[0].tolist()]
        written = [str(name(each)) for each in question.answer.tolist()]
        return {"parts": _visible(source), "written": _visible(written)}
    task = run.task
    text = task.check_input(given, run.config) if isinstance(task, TextClassification) else given
    code = run.tokenizer.encode(text)
    spans = list(code.offsets) or [(0, len(text))]
    parts = [
        text[begin:end] or token for (begin, end), token in zip(spans, code.tokens or [text], strict=True)
    ]
    return {"parts": _visible(parts), "text": text, "spans": spans}


def _visible(tokens: list[str]) -> list[str]:
    return [token if token.strip() else "␣" * max(1, len(token)) for token in tokens]


def _map(kind: str, layer: int, weights: np.ndarray, described: dict[str, Any], cls: bool) -> Map:
    parts, written = described["parts"], described.get("written", [])
    if kind in ("self-attention", "encoder self-attention"):
        queries = keys = [CLS, *parts] if cls else parts
    else:
        # a decoder's query is the token before the one that it writes
        queries = [f"→ {token}" for token in written]
        keys = parts if kind == "cross-attention" else ["[START]", *written[:-1]]
    # of a last layer of which one token is read, that one alone has asked
    queries = queries[: weights.shape[1]]
    return Map(kind, layer, weights[:, : len(queries), : len(keys)], list(queries), list(keys))
