"""A model card (Mitchell et al. 2019, 'Model Cards for Model Reporting'), its figures the run's own."""

import re
import shlex
from dataclasses import asdict, dataclass
from typing import Any

import yaml

from glassformer.config_files import flags_of_mapping
from glassformer.errors import DataError
from glassformer.export.graph import IMAGE_INPUTS, TEXT_INPUTS
from glassformer.models.configs import hidden_fields
from glassformer.pretrained.inspecting import SIZES
from glassformer.tasks.base import PRETRAINED
from glassformer.training.loaded import LoadedRun
from glassformer.training.run_folder import METRICS, PROVENANCE

CLASSES_SHOWN = 20


@dataclass(frozen=True)
class Card:
    """What a card is written from: the run, what its metrics.json and provenance.json say, and the export."""

    run: LoadedRun
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    export: dict[str, Any]


def model_card(card: Card) -> str:
    """README.md, in Markdown, with the front matter that model hubs read."""
    run = card.run
    images = not run.task.has_tokenizer
    front = {
        "library_name": "onnx" if card.export["format"] == "onnx" else "transformers",
        "pipeline_tag": "image-classification" if images else "text-classification",
        "tags": ["glassformer", card.export["format"]],
    }
    sections = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {escape(run.task_name)}: {run.config.model.name}",
        _what(card),
        "## Use\n\n" + _use(card),
        "## How good it is\n\n" + _figures(card),
        "## How it was trained\n\n" + _training(card),
        "## Limits\n\n" + "\n".join(f"- {limit}" for limit in _limits(card)),
        "## Files\n\n" + _checked(card),
    ]
    return "\n\n".join(sections) + "\n"


def require_told(run: LoadedRun, metrics: dict[str, Any], provenance: dict[str, Any]) -> None:
    """Raises DataError where these do not hold what a card tells: asked for before the export is computed."""
    export = {"format": "onnx", "command": "", "opset": 0, "check": None, "versions": {}, "sha256": {}}
    try:
        model_card(Card(run, metrics, provenance, export))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{METRICS} or {PROVENANCE} of {run.folder} is broken or incomplete ({type(error).__name__}: "
            f"{reason}), and the model card is written from them; bring them back, or train anew"
        ) from error


def escape(text: object) -> str:
    """A user's words as Markdown that says just these, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(str(text).split()))


def code(text: object) -> str:
    """As code, whatever is in it."""
    line = " ".join(str(text).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _what(card: Card) -> str:
    run = card.run
    names = ", ".join(escape(name) for name in run.class_names[:CLASSES_SHOWN])
    more = (
        f" and {len(run.class_names) - CLASSES_SHOWN:,} more" if len(run.class_names) > CLASSES_SHOWN else ""
    )
    return (
        f"{_kind(run)} of {run.parameters:,} parameters for the task {code(run.task_name)}: "
        f"{escape(run.task.summary)}. It puts {run.task.input_word} into one of "
        f"{len(run.class_names)} classes: {names}{more}. Trained with Glassformer "
        f"{escape(card.provenance['versions']['glassformer'])}, exported by {code(card.export['command'])}."
    )


def _kind(run: LoadedRun) -> str:
    """What the model is, for people."""
    if run.config.model.name == PRETRAINED:
        source = code(run.config.model.pretrained)
        if run.config.model.start == "published":
            return f"The pretrained model {source}, fine-tuned,"
        return f"A model with the sizes of {source}, from random weights,"
    kinds = {"transformer": "A transformer encoder", "recurrent": "A recurrent network"}
    return kinds.get(run.config.model.name, "A vision transformer")


def _use(card: Card) -> str:
    run = card.run
    given = "a text" if run.task.has_tokenizer else "image.png"
    if card.export["format"] == "hub":
        call = (
            f'pipeline("text-classification", model="FOLDER", truncation=True)("{given}")'
            if run.task.has_tokenizer  # a text is cut only where that is asked for
            else f'pipeline("image-classification", model="FOLDER")("{given}")'
        )
        return (
            f"```python\nfrom transformers import pipeline\n\n{call}\n```\n\n"
            f"It is a `{card.export['architecture']}`."
        )
    inputs = TEXT_INPUTS if run.task.has_tokenizer else IMAGE_INPUTS
    told = (
        "`ids`, (batch, tokens) int64, from `tokenizer.json`, and `mask`, (batch, tokens) bool, True for a "
        "real token"
        if inputs == TEXT_INPUTS
        else "`images`, (batch, channels, height, width) float32, pixels scaled to [-1, 1]: "
        f"{run.model.config.channels} x {run.model.config.height} x {run.model.config.width}"  # pyrefly: ignore
    )
    return (
        f'```\npip install "glassformer[export]"\nglassformer predict FOLDER "{given}"\n```\n\n'
        f'```python\nimport glassformer\n\nglassformer.load("FOLDER").predict(["{given}"])\n```\n\n'
        f"`model.onnx` runs without Glassformer, wherever ONNX's operators of opset "
        f"{card.export['opset']} do. It takes {told}; it gives `logits`, (batch, "
        "classes) float32, in the order of `class_names` in `config.yaml`. A softmax turns them "
        "into probabilities."
    )


def _figures(card: Card) -> str:
    metrics = card.metrics
    rows = [["**this model**", *_of_split(metrics["test"]), _accuracy(metrics.get("validation"))]]
    rows += [
        [escape(slug), *_of_split(figures["test"]), _accuracy(figures.get("validation"))]
        for slug, figures in sorted(metrics["baselines"].items(), key=lambda each: -each[1]["accuracy"])
    ]
    parts = [
        table(["", "test accuracy", "95% interval", "calibration error", "validation accuracy"], rows),
        f"On {metrics['test']['count']:,} test examples"
        + (f" and {metrics['validation']['count']:,} validation examples" if "validation" in metrics else "")
        + ". Intervals are Wilson's; calibration error is the expected one over 15 bins (Guo et al. 2017). "
        + (
            "The baselines saw the same training examples. "
            if metrics["baselines"]
            else "The run fitted no baselines. "
        )
        + _precision(card),
    ]
    per_class = list(metrics["test"].get("per_class", {}).items())
    if 2 < len(per_class) <= CLASSES_SHOWN:
        each = [
            [escape(name), *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), f"{row['count']:,}"]
            for name, row in per_class
        ]
        parts.append(table(["class, on test", "precision", "recall", "F1", "examples"], each))
    if smaller := card.export.get("int8"):
        parts.append(
            f"**INT8.** The weights of this graph have eight bits: {smaller['bytes_int8']:,} bytes instead "
            f"of {smaller['bytes_fp32']:,}. On {smaller['examples']:,} validation examples, "
            f"{smaller['agreement']:.4f} of its labels are those of fp32; its accuracy on these is "
            f"{smaller['accuracy_int8']:.4f}, that of fp32 {smaller['accuracy_fp32']:.4f}. The table "
            "above is that of the model before."
        )
    return "\n\n".join(parts)


def _of_split(figures: dict[str, Any]) -> list[str]:
    low, high = figures["accuracy_ci95"]
    error = f"{figures['calibration_error']:.4f}" if "calibration_error" in figures else ""
    return [f"{figures['accuracy']:.4f}", f"{low:.4f} to {high:.4f}", error]


def _accuracy(figures: dict[str, Any] | None) -> str:
    return "" if figures is None else f"{figures['accuracy']:.4f}"


def _precision(card: Card) -> str:
    precision = card.provenance["choices"]["precision"]
    same = "the format of this export" if precision == "fp32" else "and this export computes in fp32"
    return f"Judged in {escape(precision)}, {same}."


def _training(card: Card) -> str:
    run, metrics, provenance = card.run, card.metrics, card.provenance
    machine, choices = provenance["machine"], provenance["choices"]
    fit, optim = run.config.fit, run.config.optim
    stopped = (
        f"; kept epoch {metrics['best_epoch']}, the best on validation" if "best_epoch" in metrics else ""
    )
    versions = ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())
    revision = provenance.get("git_revision")
    checksums = [[escape(split), code(digest)] for split, digest in provenance["data_sha256"].items()]
    lines = [
        f"- Command: {code(provenance['command'])}",
        f"- Seed {metrics['seed']}; {len(metrics['epoch_seconds'])} of at most {fit.epochs} epochs{stopped}; "
        f"batches of {fit.batch_size}; {escape(optim.name)}, peak learning rate {optim.peak:g}",
        f"- Data: {code(_options(run, 'data'))}",
        f"- Model: {code(_options(run, 'model'))}" + _sizes(run),
        f"- {metrics['train_seconds']:.3g} s on {choices['threads']} thread(s), {escape(choices['device'])}, "
        f"{escape(choices['precision'])}: {escape(machine.get('processor'))}, "
        f"{escape(machine.get('system'))}, {escape(provenance['date'])}",
        f"- Versions: {escape(versions)}" + (f"; revision {code(revision)}" if revision else ""),
    ]
    if getattr(run.config.model, "start", None) == "published":
        lines.insert(1, f"- Started from the weights of {code(run.config.model.pretrained)}")
    return "\n".join(lines) + "\n\nSHA-256 of the data:\n\n" + table(["split", "checksum"], checksums)


def _options(run: LoadedRun, part: str) -> str:
    """The options of data or model as they are typed, without facts and what has no value or no effect."""
    options, silent = asdict(getattr(run.config, part)), set(hidden_fields(type(getattr(run.config, part))))
    if part == "data" and run.config.model.name == PRETRAINED:
        silent |= {"tokenizer", "vocab"}  # it brought its own
    said = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if name not in silent and value not in (None, "", ())
    }
    return shlex.join(flags_of_mapping(said, f"{part}."))


def _sizes(run: LoadedRun) -> str:
    """What a published model fixed."""
    if run.config.model.name != PRETRAINED:
        return ""
    model = asdict(run.config.model)
    sizes = {name: model[name] for name in SIZES if model.get(name)}
    return "; of " + ", ".join(f"{escape(name)} {escape(value)}" for name, value in sizes.items())


def _limits(card: Card) -> list[str]:
    run, metrics = card.run, card.metrics
    judged = "RUN" if card.export["format"] == "hub" else "FOLDER"
    limits = [
        "The figures hold for inputs like those of the test split. On others, judge it first: "
        f"`glassformer evaluate {judged} --data.test FILE`, where the task takes a file.",
        "It always answers with one of its classes, also to what belongs to none of them.",
        f"One training with one seed: {metrics['seed']}. Another seed gives another model.",
    ]
    better = [
        slug for slug, each in metrics["baselines"].items() if each["accuracy"] > metrics["test"]["accuracy"]
    ]
    if better:
        limits.insert(
            0, f"Cheaper models did better on the same test split: {', '.join(map(escape, better))}."
        )
    if run.task.has_tokenizer and hasattr(run.config.data, "max_tokens"):
        limits.append(f"A text is cut after {run.config.data.max_tokens:,} tokens.")
    if not run.task.has_tokenizer:
        told = "Every image is brought to the one size that the model was trained on"
        cropped = ", stretched by transformers where Glassformer crops it" if judged == "RUN" else ""
        limits.append(f"{told}{cropped}.")
    limits.append("Whom errors would harm, and whether the data may be used so, no figure here says.")
    return limits


def _checked(card: Card) -> str:
    check, versions = card.export["check"], card.export["versions"]
    names = ", ".join(f"{escape(name)} {escape(number)}" for name, number in versions.items())
    if check is None:
        told = "They were not compared with the run, since transformers was not installed there."
    else:
        told = (
            f"Before they were written, {check['batches']} batches of several sizes went through the export"
            f"{' in fp32' if card.export.get('int8') else ''} and through the run's own model: the largest "
            f"difference of a logit was {check['largest']:.2g} (allowed: {check['tolerance']:g}, of logits "
            "beyond 1 relative to the largest)."
        )
    digests = [[code(name), code(digest)] for name, digest in card.export["sha256"].items()]
    return f"Made with {names}. {told}\n\n" + table(["file", "SHA-256"], digests)
