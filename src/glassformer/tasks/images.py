"""Your own labelled images: a folder with one sub-folder a class, or a table of paths or images."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from glassformer.errors import DataError, UsageError
from glassformer.models.configs import VisionTransformerConfig, require_share
from glassformer.models.vision_config import PretrainedVisionConfig
from glassformer.options import unset
from glassformer.tasks.base import PRETRAINED, Preset, Report
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.image_classification import (
    ImageClassification,
    ImageData,
    Split,
    hold_out,
    image_files,
)

if TYPE_CHECKING:
    from glassformer.data.image_files import ImageFolder, ImageTable

OWN_SIZE, PUBLISHED_SIZE = (64, 64), (224, 224)
"""Height and width where none are chosen: of the images of a model of one's own, and of the usual published
one, for `show`, which knows of no model."""


@dataclass(frozen=True)
class UserImageData(ImageData):
    """Folders or tables of images, and how they become examples."""

    train: Annotated[str, unset("FOLDER|FILE", "required")] = ""
    """FOLDER with one sub-folder a class, or FILE (.csv, .tsv, .jsonl, .parquet), to train on."""
    validation: Annotated[str, unset("FOLDER|FILE", "default: images held out of train")] = ""
    """FOLDER or FILE to choose the best epoch on."""
    test: Annotated[str, unset("FOLDER|FILE", "default: images held out of train")] = ""
    """FOLDER or FILE to judge the result on."""
    image: Annotated[str, arg(metavar="COLUMN")] = "image"
    """COLUMN of the images in a file: paths beside the file, or in Parquet also the images' bytes."""
    label: Annotated[str, arg(metavar="COLUMN")] = "label"
    """COLUMN of the label in a file: words or numbers, two or more classes."""
    test_share: float = 0.2
    """Share of the images held out to judge the result on, where no test data is given."""
    image_size: tuple[int, int] = (0, 0)
    """Height and width that every image is brought to, in pixels; model.patch divides both. 0 0: the
    published model's own, 64 64 without one."""
    colours: Literal["colour", "grey"] = "colour"
    """Whether images have three channels or one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_share(self, "test_share")
        if self.image_size != (0, 0) and min(self.image_size) < 1:
            raise UsageError(
                f"image_size={self.image_size} is not a size; choose 1 pixel or more each, or 0 0 for the "
                "model's own"
            )


class ImagesTask(ImageClassification):
    """Two or more classes; images of any size and kind, splits made or given."""

    name = "images"
    summary = "your own images in two or more classes (a folder a class, or a table)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train images --data.train FOLDER
cifar10's model on your images, brought to 64x64 pixels: 0.427 on test with 1,800 images of CIFAR-10
(JPEG copy) to train on, a small convolutional network 0.526; 912 s on two cores (Zen 3, fp32), 2026-11-27""",
            config=TrainConfig(
                model=VisionTransformerConfig(patch=8),
                data=UserImageData(crop=8, flip=True),
                optim=OptimConfig(name="muon", learning_rate=2e-3, weight_decay=0.05, warmup=0.15),
                fit=FitConfig(epochs=30, batch_size=64),
            ),
        ),
        "pretrained": Preset(
            cost="""glassformer train images --data.train FOLDER --model.pretrained FOLDER
a published ViT on your images, brought to its size; not measured""",
            config=TrainConfig(
                model=PretrainedVisionConfig(attention="tiled"),
                data=UserImageData(flip=True),
                optim=OptimConfig(learning_rate=5e-5, layer_decay=0.8),
                fit=FitConfig(epochs=5, batch_size=32),
            ),
        ),
    }
    default_preset = {"vit": "cpu", "pretrained": "pretrained"}
    learns_from = ("images", "FOLDER or FILE")

    def shape(self, config: TrainConfig[Any, Any]) -> tuple[Literal[1, 3], int, int]:
        """As chosen, or as the published model has it."""
        model = config.model
        usual = PUBLISHED_SIZE if model.name == PRETRAINED else OWN_SIZE
        if model.height:  # published, or that of a run
            usual = model.height, model.width
        height, width = usual if config.data.image_size == (0, 0) else config.data.image_size
        return 3 if config.data.colours == "colour" else 1, height, width

    def require_data(self, config: TrainConfig[Any, Any]) -> None:
        """Of folders the classes, of tables columns, labels and paths: no split has a class that train lacks,
        and every class has enough to be held out of.
        """
        super().require_data(config)
        from glassformer.data.image_files import ImageTable
        from glassformer.data.splits import stratified_split

        files, class_names = self._files(config)
        usual, folders = UserImageData(), all(each.path.is_dir() for each in files.values())
        if folders and (config.data.image, config.data.label) != (usual.image, usual.label):
            raise UsageError(
                "--data.image and --data.label name columns of a table, and "
                f"{config.data.train} is a folder; leave them out"
            )
        labels = {
            split: self.label_numbers(each.labels(), class_names, each.path) for split, each in files.items()
        }
        if type(self).splits is not ImagesTask.splits:
            return  # it deals them out in a way of its own
        left = labels["train"]
        for _, share in self._held_out(config):
            left = left[stratified_split(left, share, config.seed, class_names)[0]]
        for each in files.values():
            if isinstance(each, ImageTable) and not config.data.skip_bad:
                each.require_files()

    def splits(
        self, config: TrainConfig[Any, Any], report: Report
    ) -> tuple[dict[str, Split], list[str], list[str]]:
        """Given data as it is; a missing split is held out of train, stratified by the seed."""
        files, class_names = self._files(config)
        splits = {split: self.decoded(each, class_names, config, report) for split, each in files.items()}
        train = splits["train"].labels
        if gone := [name for number, name in enumerate(class_names) if number not in train]:
            raise DataError(
                f"{files['train'].path} has no image of class {gone[0]!r} that can be read; replace the bad "
                "ones or delete the class"
            )
        notes = [
            f"data.{split}: {note}"
            for split, each in splits.items()
            for note in (*files[split].notes(), *each.images.notes)
        ]
        for split, share in self._held_out(config):
            splits |= hold_out(splits["train"], share, config.seed, class_names, ("train", split))
        return splits, class_names, notes

    def _held_out(self, config: TrainConfig[Any, Any]) -> list[tuple[str, float]]:
        """The splits that no data are given for, and the share of the images that each gets, one after the
        other.
        """
        shares = ("test", config.data.test_share), ("validation", config.data.validation_share)
        return [(split, share) for split, share in shares if not getattr(config.data, split)]

    def _files(
        self, config: TrainConfig[Any, Any]
    ) -> tuple[dict[str, "ImageFolder | ImageTable"], list[str]]:
        """What is given for each split, and the names of the classes, which are those of train."""
        from glassformer.data.labels import class_names_of

        data, given = config.data, self.given_paths(config)
        files = {split: image_files(path, data.image, data.label) for split, path in given.items()}
        return files, class_names_of(files["train"].labels(), files["train"].path, "images")
