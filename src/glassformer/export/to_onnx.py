"""A run as an ONNX folder: traced, compared, made smaller if asked for, and only then written."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.errors import DataError, UsageError
from glassformer.export.card import Card, model_card, require_told
from glassformer.export.check import TOLERANCE, Checked, require_equal
from glassformer.export.extra import require_extra
from glassformer.export.folder import CARD, EXPORT_VERSION, GRAPH, as_json, require_free, sha256, write_folder
from glassformer.export.graph import onnx_graph, require_exportable
from glassformer.export.quantize import to_int8
from glassformer.export.session import OnnxModel
from glassformer.tasks.base import Report, evenly
from glassformer.training.judge import answers
from glassformer.training.loaded import LoadedRun
from glassformer.training.run_folder import (
    CONFIG,
    EXPORT,
    METRICS,
    PROVENANCE,
    TOKENIZER,
    read_json,
    require_same_data,
)

PACKAGES = ("glassformer", "torch", "onnx", "onnxscript", "onnxruntime")
SHORT = 64
"""Tokens of the longest text that is compared, where neither the task nor the model has a longest."""

AGREEMENT_AT_LEAST = 0.9
"""Share of labels that INT8 has to leave as they were; below it, nothing is written."""


@dataclass(frozen=True)
class Smaller:
    """What eight bits did: bytes before and after, and what was said of so many validation examples."""

    bytes_fp32: int
    bytes_int8: int
    examples: int
    agreement: float
    accuracy_fp32: float
    accuracy_int8: float


def export_onnx(
    run: LoadedRun,
    folder: Path,
    *,
    int8: bool = False,
    examples: int = 1000,
    data_dir: str | None = None,
    command: str,
    report: Report,
) -> Checked:
    """Writes model.onnx, what is needed to predict with it, and a model card; or nothing.

    run: in fp32 on the CPU. examples: validation examples that INT8 is compared on.
    Raises UsageError for a model without an export and for a folder that is taken, DataError where the graph
    does not compute what the model computes, or INT8 answers otherwise too often.
    """
    require_exportable(run.model)
    require_free(folder)
    require_extra("export")
    metrics, provenance = read_json(run.folder / METRICS), read_json(run.folder / PROVENANCE)
    require_told(run, metrics, provenance)
    name = type(run.model).__name__
    report(f"tracing {name} of {run.parameters:,} parameters")
    graph = onnx_graph(run.model)
    content = graph.SerializeToString()
    checked = require_equal(run.model, OnnxModel(content, threads=run.machine.threads), _longest(run))
    report(
        f"the graph is the model: {checked.batches} batches, largest difference of a logit "
        f"{checked.largest:.1g}"
    )
    smaller = None
    if int8:
        before, content = len(content), to_int8(graph)
        smaller = _compare(run, content, before, examples, data_dir, report)
        report(
            f"INT8: {before:,} bytes became {len(content):,}; {smaller.agreement:.4f} of the labels of "
            f"{smaller.examples:,} validation examples are as before"
        )
    files = {
        GRAPH: content,
        **{each: (run.folder / each).read_bytes() for each in (CONFIG, METRICS, PROVENANCE)},
    }
    if run.task.has_tokenizer:
        files[TOKENIZER] = (run.folder / TOKENIZER).read_bytes()
    facts = {
        "schema_version": EXPORT_VERSION,
        "format": "onnx",
        "command": command,
        "parameters": run.parameters,
        "opset": graph.opset_import[0].version,
        "check": {**vars(checked), "tolerance": TOLERANCE},
        "int8": None if smaller is None else vars(smaller),
        "versions": {package: version(package) for package in PACKAGES},
        "sha256": {each: sha256(of_it) for each, of_it in files.items()},
    }
    card = Card(run, metrics, provenance, facts)
    files |= {EXPORT: as_json(facts), CARD: model_card(card).encode()}
    write_folder(folder, files)
    return checked


def _longest(run: LoadedRun) -> int:
    """Tokens of the longest text; of images, which have no length, it is not asked."""
    longest: Any = getattr(run.task, "longest", None)
    if longest is not None:
        return longest(run.config)
    return getattr(run.model.config, "max_tokens", 0) or SHORT


def _compare(
    run: LoadedRun, content: bytes, before: int, examples: int, data_dir: str | None, report: Report
) -> Smaller:
    """What INT8 and the model say of some of the run's validation examples."""
    from dataclasses import replace

    config = run.config if data_dir is None else replace(run.config, data_dir=data_dir)
    try:
        prepared = run.task.prepare(config, report)
        require_same_data(run.folder, prepared)
    except (UsageError, DataError) as error:
        raise type(error)(f"INT8 is compared on the run's validation examples, but {error}") from error
    validation: Any = prepared.examples["validation"]
    some = validation.take(np.array(evenly(len(validation), examples)))
    model = OnnxModel(content, threads=run.machine.threads)
    said, said_smaller = (
        answers(run.task, each, run.task.batches(some, config, train=False), run.machine, doing).argmax(1)
        for each, doing in ((run.model, "asking fp32"), (model, "asking INT8"))
    )
    agreement = float((said == said_smaller).mean())
    if not agreement >= AGREEMENT_AT_LEAST:
        raise DataError(
            f"INT8 changes the label of {1 - agreement:.0%} of {len(some):,} validation examples, more than "
            f"{1 - AGREEMENT_AT_LEAST:.0%}; nothing was written. Leave out --int8"
        )
    right, right_smaller = (float((each == some.labels).mean()) for each in (said, said_smaller))
    return Smaller(before, len(content), len(some), agreement, right, right_smaller)
