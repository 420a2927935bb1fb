"""Film reviews, positive or negative: the Large Movie Review Dataset of Maas et al. 2011."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassformer.models.configs import RecurrentClassifierConfig, TextClassifierConfig
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.tasks.base import Preset
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.text_classification import TextClassification, TextData
from glassformer.tasks.text_sources import Source

if TYPE_CHECKING:
    import numpy as np

NEIGHBOURS = 100
"""Rows held out in one piece. Train lies film by film, one class after the other, and test has other films:
single rows ask the model about films that it knows, and validation reads up to two points above test. These
read about one below it, since a film held out with one label can stand in train with the other."""


class ImdbTask(TextClassification):
    """25,000 reviews to train on, 25,000 to be judged on, half of them positive."""

    name = "imdb"
    summary = "film reviews, positive or negative (Maas et al. 2011)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train imdb --data-dir DATA
test accuracy 0.885 (mean of seeds 0, 1, 2), about 150 s of training and 2.3 GiB,
on two cores of an Intel Xeon with fast bf16, 2026-11-25""",
            config=TrainConfig(
                model=TextClassifierConfig(
                    layers=1,
                    heads=4,
                    d_model=64,
                    d_ff=128,
                    positions="none",
                    attention="tiled",
                    embedding_dropout=0.3,
                ),
                data=TextData(),
                optim=OptimConfig(learning_rate=1e-3, weight_decay=0.01, embedding_weight_decay=0.1),
                fit=FitConfig(epochs=4, batch_size=32, average=0.998),
            ),
        ),
        "recurrent": Preset(
            cost="""glassformer train imdb --data-dir DATA --model.name recurrent
test accuracy 0.888 (mean of seeds 0, 1, 2), 12 to 16 minutes of training on one thread
of an AMD EPYC, 2026-11-21 and 26""",
            config=TrainConfig(
                model=RecurrentClassifierConfig(embedding_dropout=0.3),
                data=TextData(),
                optim=OptimConfig(learning_rate=3e-3, weight_decay=0.01, embedding_weight_decay=0.1),
                fit=FitConfig(epochs=4, batch_size=32, average=0.998),
                # its many small steps gain nothing from bf16, and two threads only wait for each other
                precision="fp32",
                threads=1,
            ),
        ),
        "pretrained": Preset(
            cost="""glassformer train imdb --data-dir DATA --model.pretrained FOLDER
not measured""",
            config=TrainConfig(
                model=PretrainedClassifierConfig(attention="tiled"),
                data=TextData(max_tokens=256, token_dropout=0.0),
                optim=OptimConfig(learning_rate=1e-4, layer_decay=0.9, embedding_weight_decay=0.01),
                fit=FitConfig(epochs=2, batch_size=32),
            ),
        ),
    }
    default_preset = {"transformer": "cpu", "recurrent": "recurrent", "pretrained": "pretrained"}

    def with_absolute_paths(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The folder of the data sets, also where the environment names it."""
        from glassformer.data.imdb import data_folder

        folder = data_folder(config.data_dir)
        return replace(config, data_dir=str(folder.absolute())) if folder else config

    def label_numbers(self, words: list[str], class_names: list[str], path: Path) -> "np.ndarray":
        """0 and 1 as in the data set, or the names of the classes."""
        from glassformer.data.labels import named

        return super().label_numbers(named(words, class_names), class_names, path)

    def sources(self, config: TrainConfig[Any, Any]) -> tuple[dict[str, Source], list[str]]:
        """The official split, and a validation split held out of train."""
        import numpy as np

        from glassformer.data.imdb import CLASSES, imdb_file
        from glassformer.data.splits import stratified_split

        train, test = (imdb_file(split, config.data_dir) for split in ("train", "test"))
        labels = self.label_numbers(train.labels(), CLASSES, train.path)
        kept, held_out = stratified_split(
            labels, config.data.validation_share, config.seed, CLASSES, NEIGHBOURS
        )
        test_labels = self.label_numbers(test.labels(), CLASSES, test.path)
        return {
            "train": Source(train, kept, labels[kept]),
            "validation": Source(train, held_out, labels[held_out]),
            "test": Source(test, np.arange(len(test_labels)), test_labels),
        }, list(CLASSES)
