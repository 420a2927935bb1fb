"""A run as a folder that `transformers` loads, where it knows the architecture."""

import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glassformer.errors import DataError
from glassformer.export.card import Card, model_card, require_told
from glassformer.export.check import TOLERANCE, Checked, require_equal
from glassformer.export.folder import CARD, as_json, require_free, sha256, write_folder
from glassformer.export.forms import HubForm, hub_form
from glassformer.tasks.base import Report
from glassformer.training.loaded import LoadedRun
from glassformer.training.run_folder import METRICS, MODEL, PROVENANCE, TOKENIZER, read_json

SPECIAL = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}
"""What transformers calls a token -> how BERT's and RoBERTa's tokenisers write it."""


def export_hub(run: LoadedRun, folder: Path, *, command: str, report: Report) -> None:
    """Writes config.json, model.safetensors, what turns inputs into tensors, and a model card; or nothing.

    run: in fp32 on the CPU. Raises UsageError for a model that transformers does not know and for a folder
    that is taken, DataError where what it loads does not compute what the model computes.
    """
    form = hub_form(run.model)
    require_free(folder)
    metrics, provenance = read_json(run.folder / METRICS), read_json(run.folder / PROVENANCE)
    require_told(run, metrics, provenance)
    files = hub_files(run, form)
    checked = None
    if find_spec("transformers") is None:
        report("note: not compared with the run, since transformers is not installed here")
    else:
        checked = loads_equal(run.model, form, files)
        report(
            f"what transformers loads is the model: {checked.batches} batches, largest difference of a logit "
            f"{checked.largest:.1g}"
        )
    packages = ("glassformer", "torch", "safetensors", *(["transformers"] if checked else []))
    facts = {
        "format": "hub",
        "command": command,
        "architecture": form.architecture,
        "check": None if checked is None else {**vars(checked), "tolerance": TOLERANCE},
        "versions": {package: version(package) for package in packages},
        "sha256": {name: sha256(content) for name, content in files.items()},
    }
    files[CARD] = model_card(Card(run, metrics, provenance, facts)).encode()
    write_folder(folder, files)


def hub_files(run: LoadedRun, form: HubForm) -> dict[str, bytes]:
    """Name -> content of all that transformers reads."""
    from safetensors.torch import save

    labels = dict(enumerate(run.class_names))
    config = {
        "architectures": [form.architecture],
        **form.config,
        "dtype": "float32",
        "id2label": {str(number): name for number, name in labels.items()},
        "label2id": {name: number for number, name in labels.items()},
    }
    weights = {
        name: tensor.detach().cpu().float().contiguous().clone() for name, tensor in form.weights.items()
    }
    files = {"config.json": as_json(config), MODEL: save(weights, {"format": "pt"})}
    files |= {name: as_json(content) for name, content in form.more.items()}
    if run.task.has_tokenizer:
        files[TOKENIZER] = (run.folder / TOKENIZER).read_bytes()
        files["tokenizer_config.json"] = as_json(_tokenizer_config(run))
    return files


def _tokenizer_config(run: LoadedRun) -> dict[str, Any]:
    """Which of its tokens pad, begin and end a text, and after how many a text is cut."""
    assert run.tokenizer is not None
    named = {
        kind: next((word for word in words if run.tokenizer.token_to_id(word) is not None), None)
        for kind, words in SPECIAL.items()
    }
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": _longest(run),
        "model_input_names": ["input_ids", "attention_mask"],
        **{kind: word for kind, word in named.items() if word is not None},
    }


def _longest(run: LoadedRun) -> int:
    longest: Any = run.task
    return longest.longest(run.config)


def loads_equal(model: nn.Module, form: HubForm, files: dict[str, bytes]) -> Checked:
    """Compares the model with what transformers makes of the files. Raises DataError for a difference."""
    import transformers
    from transformers.utils import logging as their_logging

    before, bars = their_logging.get_verbosity(), their_logging.is_progress_bar_enabled()
    their_logging.set_verbosity_error()
    their_logging.disable_progress_bar()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in files.items():
                (Path(scratch) / name).write_bytes(content)
            theirs = getattr(transformers, form.architecture).from_pretrained(scratch, local_files_only=True)
    except (ValueError, RuntimeError, OSError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"transformers {transformers.__version__} does not load the export ({reason}); nothing was "
            "written"
        ) from error
    finally:
        their_logging.set_verbosity(before)
        if bars:
            their_logging.enable_progress_bar()
    return require_equal(model, _Theirs(theirs.eval(), form), form.longest)


class _Theirs(nn.Module):
    """A model of transformers, called as ours are."""

    def __init__(self, model: nn.Module, form: HubForm) -> None:
        super().__init__()
        self.model, self.form = model, form

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        more = {} if mask is None else {"attention_mask": mask.long()}
        if self.form.first_position:  # or they are counted by which of these made-up tokens is padding
            places = torch.arange(x.shape[1]) + self.form.first_position
            more["position_ids"] = places.expand(len(x), -1)
        return self.model(x, **more).logits
