"""Your own labelled texts: a CSV, JSONL or Parquet file with a text and a label column."""

from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

from glassformer.models.configs import RecurrentClassifierConfig, TextClassifierConfig, require_share
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.options import unset
from glassformer.paths import user_path
from glassformer.tasks.base import Preset
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.text_classification import TextClassification, TextData
from glassformer.tasks.text_sources import Source


@dataclass(frozen=True)
class UserTextData(TextData):
    """Files and columns, and how texts become examples."""

    train: Annotated[str, unset("FILE", "required")] = ""
    """FILE to train on (.csv, .tsv, .jsonl, .parquet)."""
    validation: Annotated[str, unset("FILE", "default: rows held out of train")] = ""
    """FILE to choose the best epoch on."""
    test: Annotated[str, unset("FILE", "default: rows held out of train")] = ""
    """FILE to judge the result on."""
    text: Annotated[str, arg(metavar="COLUMN")] = "text"
    """COLUMN of the text."""
    label: Annotated[str, arg(metavar="COLUMN")] = "label"
    """COLUMN of the label: words or numbers, two or more classes."""
    test_share: float = 0.2
    """Share of the rows held out to judge the result on, where no test file is given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_share(self, "test_share")


class TextTask(TextClassification):
    """Two or more classes, labels as words or numbers, splits made or given."""

    name = "text"
    summary = "your own texts in two or more classes (CSV, JSONL or Parquet)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train text --data.train FILE
imdb's model with a learning rate of 3e-3, on your file; not measured""",
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
                data=UserTextData(),
                optim=OptimConfig(learning_rate=3e-3, weight_decay=0.01, embedding_weight_decay=0.1),
                fit=FitConfig(epochs=10, batch_size=32, average=0.998, patience=3),
            ),
        ),
        "recurrent": Preset(
            cost="""glassformer train text --data.train FILE --model.name recurrent
imdb's recurrent preset for up to 10 epochs, on your file; not measured""",
            config=TrainConfig(
                model=RecurrentClassifierConfig(embedding_dropout=0.3),
                data=UserTextData(),
                optim=OptimConfig(learning_rate=3e-3, weight_decay=0.01, embedding_weight_decay=0.1),
                fit=FitConfig(epochs=10, batch_size=32, average=0.998, patience=3),
                # its many small steps gain nothing from bf16, and two threads only wait for each other
                precision="fp32",
                threads=1,
            ),
        ),
        "pretrained": Preset(
            cost="""glassformer train text --data.train FILE --model.pretrained FOLDER
imdb's preset on your file; not measured""",
            config=TrainConfig(
                model=PretrainedClassifierConfig(attention="tiled"),
                data=UserTextData(max_tokens=256, token_dropout=0.0),
                optim=OptimConfig(learning_rate=1e-4, layer_decay=0.9, embedding_weight_decay=0.01),
                fit=FitConfig(epochs=2, batch_size=32),
            ),
        ),
    }
    learns_from = ("a file", "FILE")
    default_preset = {"transformer": "cpu", "recurrent": "recurrent", "pretrained": "pretrained"}

    def require_data(self, config: TrainConfig[Any, Any]) -> None:
        """There are files, they have the two columns, and every class has enough to be held out of."""
        super().require_data(config)
        from glassformer.data.files import open_columns

        for path in self.given_paths(config).values():
            open_columns(user_path(path), [config.data.text, config.data.label], ("text", "label"))
        self.sources(config)

    def sources(self, config: TrainConfig[Any, Any]) -> tuple[dict[str, Source], list[str]]:
        """Given files as they are; a missing split is held out of train, stratified by the seed."""
        import numpy as np

        from glassformer.data.files import TextFile
        from glassformer.data.labels import class_names_of
        from glassformer.data.splits import stratified_split

        data, paths = config.data, self.given_paths(config)
        train = TextFile(user_path(paths["train"]), data.text, data.label)
        words = train.labels()
        class_names = class_names_of(words, train.path, "texts")
        labels = self.label_numbers(words, class_names, train.path)
        kept = np.arange(len(labels))
        sources = {}
        for split, share in (("test", data.test_share), ("validation", data.validation_share)):
            if path := paths.get(split):
                file = TextFile(user_path(path), data.text, data.label)
                given = self.label_numbers(file.labels(), class_names, file.path)
                sources[split] = Source(file, np.arange(len(given)), given)
            else:
                stay, held_out = stratified_split(labels[kept], share, config.seed, class_names)
                sources[split] = Source(train, kept[held_out], labels[kept[held_out]])
                kept = kept[stay]
        sources["train"] = Source(train, kept, labels[kept])
        return sources, class_names
