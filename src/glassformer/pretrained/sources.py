"""Where a published model comes from: a folder, the Hugging Face hub, or a run of `glassformer pretrain`."""

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from glassformer.errors import DataError, UsageError
from glassformer.models.encoder_config import EncoderShape
from glassformer.models.vision_config import VisionShape
from glassformer.paths import user_path
from glassformer.pretrained.architectures import Shape, architecture_of, shape_of
from glassformer.pretrained.checkpoint import (
    CONFIG,
    WEIGHTS,
    Checkpoint,
    open_checkpoint,
    require_memory,
    require_weights,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

RUN = "config.yaml"
FETCHED = ("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json", "vocab.txt",
           "tokenizer_config.json", "preprocessor_config.json")  # fmt: skip
"""What is fetched of a repository: never a pickle."""
HUB_NAME = re.compile(r"\w[\w-]*([.-]\w[\w-]*)*(/\w[\w-]*([.-]\w[\w-]*)*)?(@[\w./-]+)?")
UNKNOWN = ("[UNK]", "<unk>", "<|endoftext|>")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Source:
    """A model to start from. name: where it lies, so that it is found again: of the hub with its commit.

    architecture: of `ARCHITECTURES`, or 'run'. checkpoint: of a published model; None of a run.
    """

    name: str
    folder: Path
    architecture: str
    shape: Shape
    checkpoint: Checkpoint | None

    @property
    def sizes(self) -> dict[str, Any]:
        """The shape, as fields of a model's configuration."""
        return asdict(self.shape)

    @property
    def unknown(self) -> int:
        """The number of the token that stands for nothing known; 0 where there is none, or no tokeniser."""
        from glassformer.pretrained.tokenizers import TOKENIZER, VOCABULARY

        if not any((self.folder / name).is_file() for name in (TOKENIZER, VOCABULARY)):
            return 0
        tokenizer = self.tokenizer()
        numbers = (tokenizer.token_to_id(name) for name in UNKNOWN)
        return next((number for number in numbers if number is not None), 0)

    def tokenizer(self) -> "Tokenizer":
        """Its tokeniser; see `glassformer.pretrained.tokenizers.read_tokenizer`."""
        from glassformer.pretrained.tokenizers import read_tokenizer

        assert isinstance(self.shape, EncoderShape)
        return read_tokenizer(self.folder, self.shape.vocab)


def find(name: str) -> Source:
    """The model of that name, looked at but not loaded.

    name: a folder in the Hugging Face layout, a run of `glassformer pretrain`, or NAME or NAME@REVISION on
    the hub. Raises UsageError where it is none of them, DataError where it is broken, does not run here, does
    not fit into memory, or cannot be fetched.
    """
    if not name:
        raise UsageError("no published model is named; give --model.pretrained FOLDER, or a hub NAME")
    folder = user_path(name)
    if folder.is_dir():
        name = str(folder.absolute())
    elif HUB_NAME.fullmatch(name) and not folder.exists():
        folder, name = _fetched(name)
    else:
        raise UsageError(
            f"{name} is no folder, and no name on the hub such as google/bert_uncased_L-4; give one"
        )
    if (folder / RUN).is_file() and not (folder / CONFIG).is_file():
        return Source(name, folder, "run", shape_of_run(folder), None)
    checkpoint = open_checkpoint(folder)
    architecture = architecture_of(checkpoint.config)
    shape = shape_of(checkpoint.config)
    require_memory(checkpoint)
    _require_plausible(checkpoint, shape)
    return Source(name, folder, architecture, shape, checkpoint)


def run_config(folder: Path) -> dict[str, Any]:
    """The config.yaml of a run, as it stands there."""
    return yaml.safe_load((folder / RUN).read_text(encoding="utf-8"))


def shape_of_run(folder: Path) -> EncoderShape:
    """The sizes of a run of `glassformer pretrain`, whose weights are there.

    Raises UsageError for a run of another kind, DataError for one that is unfinished or broken.
    """
    try:
        model = run_config(folder)["model"]
        known = {field.name for field in fields(EncoderShape)}
        if model["name"] != "masked-lm":
            raise UsageError(
                f"{folder} is a run with a {model['name']} model; --model.pretrained takes runs of "
                "`glassformer pretrain`, and published models"
            )
        shape = EncoderShape(**{key: value for key, value in model.items() if key in known})
        shape.require_whole()
    except UsageError:
        raise
    except (
        OSError,
        yaml.YAMLError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
    ) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{folder / RUN} is broken or of another version ({reason}); pretrain anew"
        ) from error
    if not (folder / WEIGHTS).is_file():
        raise DataError(
            f"{folder} has no {WEIGHTS} yet; finish it with glassformer pretrain --resume {folder}"
        )
    require_weights(folder / WEIGHTS)
    return shape


def _require_plausible(checkpoint: Checkpoint, shape: Shape) -> None:
    """Raises DataError for a size beyond all tensors: a model of it would be built before it is refused."""
    largest = max((max(each.shape, default=1) for each in checkpoint.tensors.values()), default=1)
    sizes = {"layers": (shape.layers, len(checkpoint.tensors))}
    names = ("d_model", "d_ff", "vocab", "max_tokens", "token_types")
    sizes |= {name: (getattr(shape, name, 0), largest) for name in names}
    if isinstance(shape, VisionShape):
        patches = (shape.height // shape.patch) * (shape.width // shape.patch)
        sizes |= {"patches": (patches, largest), "patch": (shape.patch, largest)}
    for name, (size, most) in sizes.items():
        if size > most:
            raise DataError(
                f"config.json of {checkpoint.folder} gives {name}={size:,}, and no tensor of its weights is "
                "as large; fetch the folder again"
            )


def _fetched(name: str) -> tuple[Path, str]:
    """The folder of a hub's repository here, and its name with the commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    repository, _, revision = name.partition("@")
    try:
        wanted: dict[str, Any] = {"allow_patterns": list(FETCHED), "ignore_patterns": ["*/*"]}
        folder = Path(snapshot_download(repository, revision=revision or None, **wanted))
    except GatedRepoError as error:
        raise DataError(
            f"{repository} is given to those alone who have agreed to its terms; do so on its page on the "
            "hub, and log in here with hf auth login"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise UsageError(f"there is no folder {name}, and no such model on the Hugging Face hub") from error
    except Exception as error:  # the hub's client raises a dozen unrelated kinds
        raise DataError(
            f"there is no folder {name}, and the Hugging Face hub could not be reached for it "
            f"({type(error).__name__}); connect this machine to the network, or fetch the model elsewhere "
            f"(hf download {repository}) and give its folder"
        ) from error
    commit = folder.name if COMMIT.fullmatch(folder.name) else revision
    return folder, f"{repository}@{commit}" if commit else repository
