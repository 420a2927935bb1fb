"""What the tasks on labelled images share: from pixels to splits, augmentation, model, prediction."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from glassformer.cache import cache_folder, cache_key
from glassformer.errors import DataError, UsageError
from glassformer.models.configs import require_fraction, require_share
from glassformer.paths import require_path, user_path
from glassformer.tasks.base import PRETRAINED, Prepared, Report, evenly
from glassformer.tasks.classification import Classification
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import SplitSource
    from glassformer.data.augment import Augmentation
    from glassformer.data.image_batches import ImageBatches
    from glassformer.data.image_files import ImageFolder, ImageTable
    from glassformer.data.images import ImageExamples, Images

JUDGED_AT_ONCE = 500
"""Images in a batch without gradients."""

PIXELS_FORMAT = 1
"""Rises when decoding changes, so that no older cache entry is read."""

STRENGTHS: dict[str, Any] = {
    "crop": 4, "flip": True, "colour": 0.4, "rand_augment": 2, "erase": 0.9, "mixup": 1.0, "cutmix": 1.0,
}  # fmt: skip
"""How strongly an augmentation is shown that the configuration does not use."""


@dataclass(frozen=True)
class ImageData:
    """Which images train, and how they are varied in training."""

    validation_share: float = 0.1
    """Share of the training images held out to choose the best epoch, where no validation data is given."""
    fraction: float = 1.0
    """Share of the training images that are trained on; validation and test stay whole."""
    crop: int = 0
    """In training, pad by this many pixels and cut the size out again at a random place; 0 leaves it."""
    flip: bool = False
    """In training, mirror every other image, left and right."""
    colour: float = 0.0
    """In training, change brightness, contrast and saturation by up to this share; 0 leaves them."""
    rand_augment: int = 0
    """In training, this many random operations an image (Cubuk et al. 2020); 0 none."""
    magnitude: int = 9
    """Strength of those operations, 0 to 30."""
    erase: float = 0.0
    """In training, erase a random rectangle with this probability (Zhong et al. 2020)."""
    mixup: float = 0.0
    """In training, blend pairs of images; alpha of the Beta distribution (Zhang et al. 2018), 0 none."""
    cutmix: float = 0.0
    """In training, paste a part of another image; alpha as for mixup (Yun et al. 2019), 0 none."""
    early_scale: float = 1.0
    """In the first epochs, shrink training images to this share of their sides, in whole patches: fewer
    patches, faster epochs (progressive resizing, Howard 2018); 1 leaves them."""
    early_share: float = 0.6
    """Share of the epochs that see the smaller images of early_scale, of no effect where that is 1; the last
    epoch never does."""
    skip_bad: Annotated[bool, arg(aliases=("--skip-bad",))] = False
    """Leave out images that cannot be read, and count them, instead of stopping at the first."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise UsageError(
                f"fraction={self.fraction} is not a share of the images; choose 0 < fraction <= 1"
            )
        require_share(self, "validation_share")
        require_fraction(self, "colour", "erase")
        for name, highest in (("crop", 1024), ("rand_augment", 16), ("magnitude", 30)):
            if not 0 <= getattr(self, name) <= highest:
                raise UsageError(f"{name}={getattr(self, name)} is out of range; choose 0 to {highest}")
        for name in ("early_scale", "early_share"):
            if not 0 < getattr(self, name) <= 1:
                raise UsageError(
                    f"{name}={getattr(self, name)} is out of range; choose 0 < {name} <= 1, as 0.75"
                )
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)} is negative; choose 0 (none) or more")


@dataclass(frozen=True)
class Split:
    """Some rows of decoded images, with their class numbers; checksum: SHA-256 of where they come from."""

    images: "Images"
    rows: "np.ndarray"
    labels: "np.ndarray"
    checksum: str


class ImageClassification(Classification):
    """A task whose examples are images of one size, each in one of several classes."""

    input_word = "images"
    baseline_names = ("majority", "pixels_lr", "small_cnn")
    file_columns = ("image", "label")
    columns = {"image": "image", "label": "label"}
    """Names of a table's columns where the configuration names none."""

    def shape(self, config: TrainConfig[Any, Any]) -> tuple[Literal[1, 3], int, int]:
        """(channels, height, width) of every image."""
        raise NotImplementedError

    def splits(
        self, config: TrainConfig[Any, Any], report: Report
    ) -> tuple[dict[str, Split], list[str], list[str]]:
        """The three splits, the names of the classes, and notes on the images."""
        raise NotImplementedError

    def require_data(self, config: TrainConfig[Any, Any]) -> None:
        """The patch divides the images, of a published model where it is known."""
        super().require_data(config)
        self._require_patch(config)

    def _require_patch(self, config: TrainConfig[Any, Any]) -> None:
        replace(config.model, **self._shape_facts(config))

    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Decodes what is not yet in the cache, splits, and looks for duplicates."""
        from glassformer.data.images import ImageExamples
        from glassformer.data.splits import count_shared, stratified_fraction

        self._require_patch(config)
        splits, class_names, notes = self.splits(config, report)
        height, width = self.shape(config)[1:]
        if config.data.crop >= min(height, width):
            notes.append(
                f"crop={config.data.crop} may move images of {height} x {width} pixels out of sight in "
                f"training; an eighth of a side, {min(height, width) // 8}, is usual"
            )
        early, few = self.early_size(config), self.early_epochs(config)
        if early and few:
            epochs = f"first {few} of {config.fit.epochs} epochs train" if few > 1 else "first epoch trains"
            notes.append(f"the {epochs} on images shrunk to {early[0]} x {early[1]} pixels")
        elif early:
            share = f"early_share={config.data.early_share} of fit.epochs={config.fit.epochs}"
            notes.append(f"no epoch trains on shrunk images: {share}, rounded and without the last, is none")
        elif config.data.early_scale < 1:
            words = f"early_scale={config.data.early_scale} leaves images as they are, in whole patches of"
            notes.append(f"{words} {config.model.patch} pixels")
        train = splits["train"]
        kept = stratified_fraction(train.labels, config.data.fraction, config.seed)
        splits["train"] = replace(train, rows=train.rows[kept], labels=train.labels[kept])
        examples = {name: ImageExamples(s.images, s.rows, s.labels) for name, s in splits.items()}
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            if shared := count_shared(examples[first].hashes, examples[second].hashes):
                notes.append(f"{shared:,} of {len(examples[second]):,} {second} images stand in {first} too")
        return Prepared(
            class_names=class_names,
            examples=examples,
            checksums={name: split.checksum for name, split in splits.items()},
            notes=notes,
            inputs={name: _pixel_source(split, class_names) for name, split in splits.items()},
        )

    def facts(
        self, tokenizer: "Tokenizer | None", class_names: list[str], config: TrainConfig[Any, Any]
    ) -> dict[str, int]:
        """The image's shape and the number of classes."""
        return self._shape_facts(config) | {"classes": len(class_names)}

    def example(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, Any]:
        """Two grey images: shapes do not depend on what they show."""
        import torch

        return {"images": torch.zeros(2, *self.shape(config)), "labels": torch.zeros(2, dtype=torch.int64)}

    def build_model(self, model: Any) -> "nn.Module":
        """A model with fresh weights."""
        from glassformer.models.vision_transformer import VisionTransformer

        if model.name != PRETRAINED:
            return VisionTransformer(model)
        from glassformer.models.encoder import freeze

        built = VisionTransformer(model.as_vit())
        freeze(built, model.frozen)
        return built

    def require_published_fit(self, config: TrainConfig[Any, Any]) -> None:
        """Refuses images of other channels."""
        own, channels = config.model.channels, self.shape(config)[0]
        if channels != own:
            raise UsageError(
                f"{config.model.pretrained} takes images of {own} channel{'s' * (own > 1)}, and these have "
                f"{channels}; choose --data.colours {'colour' if own == 3 else 'grey'}"
            )

    def in_training(self, model: Any, config: TrainConfig[Any, Any]) -> "nn.Module":
        """Also for the smaller images of the first epochs, where there are any."""
        from glassformer.models.vision_transformer import InTwoSizes

        early = self.early_size(config) if self.early_epochs(config) else None
        return InTwoSizes(model, *early) if early else model

    def told_of_training(self, config: TrainConfig[Any, Any], epochs: int) -> dict[str, Any]:
        """Until which epoch the images were smaller, where any were."""
        early, epochs = self.early_size(config), min(epochs, self.early_epochs(config))
        return (
            {"early_images": {"height": early[0], "width": early[1], "epochs": epochs}}
            if early and epochs
            else {}
        )

    def batches(
        self, examples: "ImageExamples", config: TrainConfig[Any, Any], *, train: bool
    ) -> "ImageBatches":
        """Shuffled and augmented for training, in their own order for judging."""
        from glassformer.data.image_batches import ImageBatches

        if not train:
            return ImageBatches(examples, JUDGED_AT_ONCE)
        return ImageBatches(
            examples,
            config.fit.batch_size,
            shuffle=True,
            augmentation=augmentation_of(config.data),
            classes=int(examples.labels.max()) + 1,
            seed=config.seed,
            device="cpu" if config.device == "auto" else config.device,
            early_size=self.early_size(config),
            early_epochs=self.early_epochs(config),
        )

    def logits(self, model: "nn.Module", batch: dict[str, Any]) -> "Tensor":
        """(examples classes) of one batch."""
        logits: Tensor = model(batch["images"])
        return logits

    def require_inputs(self, inputs: list[str]) -> None:
        """Each is the path of a file."""
        for name in inputs:
            path = user_path(name)
            if os.path.isdir(path):
                raise UsageError(f"{name} is a folder; give the paths of images")
            if not os.path.isfile(path):  # which has an answer to a name that is too long as well
                raise UsageError(f"there is no image file {name}; give the path of an image")

    def skipping_bad(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The same with data.skip_bad."""
        return replace(config, data=replace(config.data, skip_bad=True))

    def encode(
        self, inputs: list[str], tokenizer: "Tokenizer | None", config: TrainConfig[Any, Any]
    ) -> tuple["ImageExamples", list[str]]:
        """Image files to predict as examples, decoded as those of the training were.

        With data.skip_bad those that are missing or cannot be decoded are left out; one alone has to be good.
        """
        import numpy as np

        from glassformer.data.decoding import decode
        from glassformer.data.image_files import read_image
        from glassformer.data.images import ImageExamples, Images, as_notes, hash_pixels, skipped_note

        channels, height, width = self.shape(config)
        decoded, kinds, bad = [], Counter[str](), dict[int, str]()
        for row, name in enumerate(inputs):
            try:
                self.require_inputs([name])
                content = read_image(user_path(name), name)
                pixels, done = decode(content, name, (height, width), channels)
            except (UsageError, DataError) as error:
                if not config.data.skip_bad or len(inputs) == 1:
                    raise
                bad[row] = str(error)
                continue
            decoded.append(pixels)
            kinds.update(done)
        if not decoded:
            raise DataError(f"none of the {len(inputs):,} images can be read; the first: {bad[0]}")
        stacked = np.stack(decoded)
        images = Images(stacked, hash_pixels(stacked), skipped=np.array(list(bad), dtype=np.int64))
        rows = np.arange(len(stacked))
        notes = skipped_note([inputs[row] for row in bad]) + as_notes(kinds)
        return ImageExamples(images, rows, np.zeros_like(rows)), notes

    def kept_inputs(self, inputs: list[str], examples: "ImageExamples") -> list[str]:
        """Without those that were left out."""
        skipped = set(examples.images.skipped.tolist())
        return [name for row, name in enumerate(inputs) if row not in skipped]

    def other_test(
        self,
        config: TrainConfig[Any, Any],
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        file: str,
        columns: dict[str, str],
    ) -> tuple["ImageExamples", "SplitSource", list[str]]:
        """Labelled images of the user's, in a folder or a table, with the classes of the run."""
        from glassformer.data.images import ImageExamples

        own = {name: getattr(config.data, name, usual) for name, usual in self.columns.items()} | columns
        files = image_files(file, own["image"], own["label"])
        split = self.decoded(files, class_names, config)
        examples = ImageExamples(split.images, split.rows, split.labels)
        return examples, _pixel_source(split, class_names), [*files.notes(), *split.images.notes]

    def shown(self, given: str) -> str:
        """The whole path: files of one folder differ at its end."""
        return given

    def decoded(
        self,
        files: "ImageFolder | ImageTable",
        class_names: list[str],
        config: TrainConfig[Any, Any],
        report: Report = lambda line: None,
    ) -> Split:
        """All images of a folder or a table, out of the cache where they are in it."""
        import numpy as np

        from glassformer.data.images import decode_all, open_images

        channels, height, width = self.shape(config)
        labels = self.label_numbers(files.labels(), class_names, files.path)
        checksum = files.checksum()
        key = cache_key(PIXELS_FORMAT, checksum, channels, height, width, config.data.skip_bad)
        folder = cache_folder() / "images" / key
        if folder.is_dir():
            images = open_images(folder)
        else:
            report(f"decoding {len(labels):,} images of {files.path.name}")
            images = decode_all(
                files.sources(),
                (height, width),
                channels,
                folder,
                total=len(labels),
                skip_bad=config.data.skip_bad,
            )
        labels = np.delete(labels, images.skipped)
        return Split(images, np.arange(len(labels)), labels, checksum)

    def pictures(
        self, config: TrainConfig[Any, Any], count: int, report: Report
    ) -> tuple[list[tuple[str, list[tuple["np.ndarray", str]]]], list[str]]:
        """Training images as they are, smaller where those of the first epochs are, after each augmentation
        alone, and after all that is in use.
        """
        import numpy as np

        any_size = replace(
            config, model=replace(config.model, patch=1), data=replace(config.data, early_scale=1.0)
        )
        prepared = self.prepare(any_size, report)
        from glassformer.data.image_batches import ImageBatches
        from glassformer.data.images import ImageExamples

        train = prepared.examples["train"]
        assert isinstance(train, ImageExamples)
        chosen = np.random.default_rng(config.seed).permutation(len(train))[:count]
        few = ImageExamples(train.images, train.rows[chosen], train.labels[chosen])
        kinds: list[tuple[str, ImageData | None, int]] = [("as they are", None, 0)]
        early_size = self.early_size(config)
        if early_size:
            kinds.append((f"early_scale {config.data.early_scale}", None, 1))
        none = replace(config.data, **{name: type(strength)() for name, strength in STRENGTHS.items()})
        for name, strength in STRENGTHS.items():
            chosen_strength = getattr(config.data, name)
            shown, unused = chosen_strength or strength, "" if chosen_strength else " (not in use)"
            kinds.append((f"{name} {shown}{unused}", replace(none, **{name: shown}), 0))
        kinds.append(("all in use", config.data, 0))
        rows = []
        for heading, data, early_epochs in kinds:
            augmentation = None if data is None else augmentation_of(data)
            batches = ImageBatches(
                few,
                count,
                augmentation=augmentation,
                classes=len(prepared.class_names),
                seed=config.seed,
                early_size=early_size,
                early_epochs=early_epochs,
            )
            (batch,) = batches
            pixels = np.rint((batch["images"].numpy() + 1) * 127.5).astype(np.uint8)
            labels = [prepared.class_names[label] for label in batch["labels"].tolist()]
            if "targets" in batch:
                labels = [_mixed_label(row, prepared.class_names) for row in batch["targets"].tolist()]
            rows.append((heading, list(zip(pixels, labels, strict=True))))
        return rows, prepared.notes

    def some_examples(
        self, prepared: Prepared, config: TrainConfig[Any, Any], count: int
    ) -> list[tuple["np.ndarray", str]]:
        """Pixels and the names of their classes."""
        import numpy as np

        pixels, labels = prepared.inputs["validation"].read()
        assert isinstance(pixels, np.ndarray)
        numbers = np.asarray(labels).tolist()
        return [(pixels[i], prepared.class_names[numbers[i]]) for i in evenly(len(pixels), count)]

    def early_size(self, config: TrainConfig[Any, Any]) -> tuple[int, int] | None:
        """Height and width of the training images in the first epochs, where they are shrunk."""
        scale, patch = config.data.early_scale, config.model.patch
        if scale == 1 or not patch:  # a published model's, where it is not yet known
            return None
        own = self.shape(config)[1:]
        height, width = (max(1, int(scale * side / patch + 0.5)) * patch for side in own)
        return None if (height, width) == own else (height, width)

    def early_epochs(self, config: TrainConfig[Any, Any]) -> int:
        """How many epochs, the first, are of images of `early_size`; never the last."""
        return min(round(config.data.early_share * config.fit.epochs), config.fit.epochs - 1)

    def _shape_facts(self, config: TrainConfig[Any, Any]) -> dict[str, int]:
        return dict(zip(("channels", "height", "width"), self.shape(config), strict=True))


def augmentation_of(data: ImageData) -> "Augmentation":
    """What the options ask for."""
    from glassformer.data.augment import Augmentation

    return Augmentation(**{field.name: getattr(data, field.name) for field in fields(Augmentation)})


def image_files(name: str, image: str, label: str) -> "ImageFolder | ImageTable":
    """A folder with one sub-folder a class, or a table with a column of images and one of labels."""
    from glassformer.data.image_files import ImageFolder, ImageTable

    require_path(name)
    path = user_path(name)
    return ImageFolder(path) if path.is_dir() else ImageTable(path, image, label)


def hold_out(
    split: Split, share: float, seed: int, class_names: list[str], names: tuple[str, str]
) -> Mapping[str, Split]:
    """Two splits of one, stratified by class: names[1] gets `share` of the rows."""
    from glassformer.data.splits import stratified_split

    kept, held_out = stratified_split(split.labels, share, seed, class_names)
    return {
        name: replace(split, rows=split.rows[part], labels=split.labels[part])
        for name, part in zip(names, (kept, held_out), strict=True)
    }


def _pixel_source(split: Split, class_names: list[str]) -> "SplitSource":
    from hashlib import sha256

    from glassformer.baselines.cache import SplitSource

    digest = sha256(split.rows.tobytes()).hexdigest()
    shape = split.images.pixels.shape[1:]
    return SplitSource(
        cache_key(PIXELS_FORMAT, split.checksum, digest, *shape, *class_names),
        lambda: (split.images.pixels[split.rows], split.labels),
    )


def _mixed_label(shares: list[float], class_names: list[str]) -> str:
    parts = sorted(
        ((share, name) for share, name in zip(shares, class_names, strict=True) if share >= 0.005),
        reverse=True,
    )
    return " + ".join(name if share > 0.995 else f"{share:.2f} {name}" for share, name in parts)
