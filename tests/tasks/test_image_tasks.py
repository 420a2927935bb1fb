"""The tasks on images: splits, folders and tables of the user's, and what is refused."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image
from tests.helpers import cifar10_folder, image_folder, write_csv

from glassformer.data.splits import stratified_split
from glassformer.errors import DataError, UsageError
from glassformer.tasks import find_task
from glassformer.tasks.base import Prepared
from glassformer.tasks.image_classification import _mixed_label
from glassformer.tasks.images import ImagesTask


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLASSFORMER_DATA", raising=False)


def prepare(name: str, seed: int = 0, data_dir: Path | None = None, **data: Any) -> Prepared:
    task = find_task(name)
    config = task.preset(None, None)
    config = replace(
        config, seed=seed, data=replace(config.data, **data), data_dir=str(data_dir) if data_dir else None
    )
    return task.prepare(config, lambda line: None)


def rows(prepared: Prepared) -> dict[str, set[int]]:
    return {split: set(examples.rows.tolist()) for split, examples in prepared.examples.items()}


def test_digits_have_one_test_split_for_all_seeds_and_disjoint_splits() -> None:
    one, other = rows(prepare("digits", seed=0)), rows(prepare("digits", seed=1))
    assert one["test"] == other["test"]
    assert one["validation"] != other["validation"]
    for dealt in (one, other):
        assert sum(map(len, dealt.values())) == len(set().union(*dealt.values())) == 1797
    assert len(one["test"]) == pytest.approx(1797 / 5, abs=5)


def test_cifar10_keeps_the_official_test_split_and_holds_validation_out_of_train(tmp_path: Path) -> None:
    prepared = prepare("cifar10", data_dir=cifar10_folder(tmp_path / "data"), validation_share=0.2)
    sizes = {split: len(examples) for split, examples in prepared.examples.items()}
    assert sizes == {"train": 50, "validation": 10, "test": 20}
    assert prepared.class_names[0] == "airplane"
    assert not any("JPEG copy" in note for note in prepared.notes)
    assert not rows(prepared)["train"] & rows(prepared)["validation"]
    for split, source in prepared.inputs.items():
        pixels, labels = source.read()
        assert pixels.shape == (sizes[split], 3, 32, 32)
        assert (np.asarray(labels) == prepared.examples[split].labels).all()


def test_images_from_a_folder_in_any_size(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 10, "dog": 15})
    prepared = prepare("images", train=str(folder), image_size=(16, 24))
    assert prepared.class_names == ["cat", "dog"]
    assert sum(len(examples) for examples in prepared.examples.values()) == 25
    assert prepared.examples["train"].images.pixels.shape == (25, 3, 16, 24)
    assert any("resized" in note for note in prepared.notes)


def test_a_table_and_a_folder_of_the_same_images_are_the_same(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 6, "dog": 6})
    listed = sorted(folder.rglob("*.png"))
    table = write_csv(
        tmp_path / "pets.csv",
        [(file.relative_to(tmp_path), file.parent.name) for file in listed],
        ("file", "kind"),
    )
    of_folder = prepare("images", train=str(folder))
    of_table = prepare("images", train=str(table), image="file", label="kind")
    for split in ("train", "validation", "test"):
        ours, theirs = of_folder.examples[split], of_table.examples[split]
        assert (ours.labels == theirs.labels).all()
        assert (ours.images.pixels[ours.rows] == theirs.images.pixels[theirs.rows]).all()


def test_test_is_held_out_first_and_then_validation_by_the_seed(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 10, "dog": 20})
    prepared = prepare("images", seed=3, train=str(folder), test_share=0.3, validation_share=0.2)
    labels, names = np.repeat([0, 1], (10, 20)), ["cat", "dog"]
    rest, test = stratified_split(labels, 0.3, 3, names)
    kept, held_out = stratified_split(labels[rest], 0.2, 3, names)
    dealt = {"train": rest[kept], "validation": rest[held_out], "test": test}
    assert rows(prepared) == {split: set(numbers.tolist()) for split, numbers in dealt.items()}


def require_data(task: Any, **data: Any) -> None:
    config = find_task("images").preset(None, None)
    task.require_data(replace(config, data=replace(config.data, **data)))


def test_what_can_be_left_out_is_not_refused_early(tmp_path: Path) -> None:
    image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    named = [(f"pets/{kind}/{i}.png", kind) for kind in ("cat", "dog") for i in range(4)]
    table = write_csv(tmp_path / "pets.csv", [*named, ("gone.png", "cat"), (" ", "dog")], ("image", "label"))
    with pytest.raises(DataError, match=r"there is no .*gone\.png \(row 9 of pets\.csv\)"):
        require_data(find_task("images"), train=str(table))
    require_data(find_task("images"), train=str(table), skip_bad=True)


def test_a_task_with_splits_of_its_own_decides_what_suffices(tmp_path: Path) -> None:
    class Own(ImagesTask):
        def splits(self, config: Any, report: Any) -> Any:
            raise AssertionError("not asked for yet")

    few = str(image_folder(tmp_path / "pets", {"cat": 4, "dog": 1}))
    with pytest.raises(DataError, match="'dog' has 1 example left"):
        require_data(ImagesTask(), train=few)
    require_data(Own(), train=few)


def test_given_splits_are_used_as_they_are_and_duplicates_are_told(tmp_path: Path) -> None:
    train = image_folder(tmp_path / "train", {"cat": 8, "dog": 8})
    test = image_folder(tmp_path / "test", {"cat": 3, "dog": 2}, seed=1)
    (test / "dog" / "again.png").write_bytes(sorted((train / "dog").iterdir())[0].read_bytes())
    prepared = prepare("images", train=str(train), test=str(test))
    assert len(prepared.examples["test"]) == 6
    assert len(prepared.examples["train"]) + len(prepared.examples["validation"]) == 16
    assert any("1 of 6 test images stand in" in note for note in prepared.notes)


@pytest.mark.parametrize(
    ("scale", "sizes"),
    [(0.75, (24, 40)), (0.1, (8, 8)), (0.9, (32, 40)), (0.6, (16, 32))],
)
def test_early_images_are_smaller_by_whole_patches(scale: float, sizes: tuple, tmp_path: Path) -> None:
    task, folder = find_task("images"), image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    config = task.preset(None, None)
    data = replace(config.data, train=str(folder), image_size=(32, 48), early_scale=scale, early_share=2 / 3)
    config = replace(
        config,
        data=data,
        model=replace(config.model, patch=8),
        fit=replace(config.fit, epochs=3),
    )
    prepared = task.prepare(config, lambda line: None)
    told = f"the first 2 of 3 epochs train on images shrunk to {sizes[0]} x {sizes[1]} pixels"
    assert told in prepared.notes
    batches = task.batches(prepared.examples["train"], config, train=True)
    facts = task.facts(None, prepared.class_names, config)
    learner = task.in_training(task.build_model(replace(config.model, **facts)), config)
    seen = []
    for _ in range(3):
        (batch,) = batches
        seen.append(tuple(batch["images"].shape[2:]))
        assert task.logits(learner, batch).shape == (len(batch["labels"]), 2)
    assert seen == [sizes, sizes, (32, 48)]
    (judged,) = task.batches(prepared.examples["validation"], config, train=False)
    assert judged["images"].shape[2:] == (32, 48)


def test_decoded_images_are_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    first = prepare("images", train=str(folder))
    monkeypatch.setattr("glassformer.data.images.decode", None)
    again = prepare("images", train=str(folder))
    ours, theirs = first.examples["train"], again.examples["train"]
    assert (ours.images.pixels == theirs.images.pixels).all()


def test_bad_images_stop_or_are_left_out_with_their_labels(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 6, "dog": 6})
    bad = sorted((folder / "cat").iterdir())[0]
    bad.write_bytes(b"no image")
    with pytest.raises(DataError, match=rf"{bad} .*, or leave bad images out with --skip-bad$"):
        prepare("images", train=str(folder))
    prepared = prepare("images", train=str(folder), skip_bad=True)
    labels = np.concatenate([examples.labels for examples in prepared.examples.values()])
    assert sorted(labels) == [0] * 5 + [1] * 6
    assert any("left out" in note and bad.name in note for note in prepared.notes)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, UsageError, "give --data.train FOLDER"),
        ({"train": "nowhere"}, UsageError, "there is no file or folder nowhere; check the path"),
        ({"train": "one"}, DataError, "one class only"),
        ({"train": "hollow"}, DataError, "holds no images"),
        ({"train": "empty"}, DataError, "no sub-folders with images"),
        ({"train": "pets", "test": "more"}, DataError, "has the label 'cow'"),
        ({"train": "pets", "image_size": (30, 32)}, UsageError, "images of 24 x 32 or 32 x 32"),
        ({"train": "pets", "validation_share": 0.0}, UsageError, "leaves a split empty"),
        ({"train": "pets", "early_scale": 1.5}, UsageError, "early_scale=1.5 is out of range; choose 0 <"),
        ({"train": "pets", "early_share": 0.0}, UsageError, "early_share=0.0 is out of range; choose 0 <"),
    ],
)
def test_what_is_refused(
    data: dict, error: type, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    image_folder(tmp_path / "more", {"cat": 4, "cow": 4})
    image_folder(tmp_path / "one", {"cat": 4})
    (image_folder(tmp_path / "hollow", {"cat": 4}) / "dog").mkdir()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message) as refused:
        prepare("images", **data)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "cache").exists() or "cow" in message


def test_predicting_decodes_as_training_did(tmp_path: Path) -> None:
    task = find_task("images")
    config = task.preset(None, None)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "see_through.png")
    examples, notes = task.encode([str(tmp_path / "see_through.png")], None, config)
    assert examples.images.pixels.shape == (1, 3, 64, 64)
    assert notes == ["1 image with transparency was put on white"]
    with pytest.raises(UsageError, match="there is no image file"):
        task.encode([str(tmp_path / "gone.png")], None, config)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match=r"text\.png is no image"):
        task.encode([str(tmp_path / "text.png")], None, config)


def test_predicting_without_the_bad_images(tmp_path: Path) -> None:
    task = find_task("images")
    config = task.preset(None, None)
    good = [str(file) for file in sorted(image_folder(tmp_path / "pets", {"cat": 2}).rglob("*.png"))]
    bad, gone = tmp_path / "bad.png", str(tmp_path / "gone.png")
    bad.write_bytes(b"no image")
    given = [good[0], str(bad), gone, gone, "a" * 300, good[1]]
    with pytest.raises(DataError, match=r"bad\.png is no image"):
        task.encode(given, None, config)
    config = task.skipping_bad(config)
    examples, notes = task.encode(given, None, config)
    assert len(examples) == 2
    assert task.kept_inputs(given, examples) == good
    assert notes[0].startswith(f"4 images were left out as unreadable: {bad}, {gone}, {gone} and 1 more")
    assert task.kept_inputs(good, task.encode(good, None, config)[0]) == good
    with pytest.raises(DataError, match=r"none of the 2 images can be read; the first: .*gone\.png"):
        task.encode([gone, str(bad)], None, config)
    with pytest.raises(UsageError, match=r"^there is no image file .*gone\.png"):  # as without the option
        task.encode([gone], None, config)
    with pytest.raises(UsageError, match="--skip-bad is for images, and parity has none"):
        find_task("parity").skipping_bad(find_task("parity").preset(None, None))


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = find_task("images")
    config = task.preset(None, None)
    (file,) = image_folder(tmp_path / "pets", {"cat": 1}).rglob("*.png")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"0\.png cannot be read \(Permission denied\)"):
        task.encode([str(file)], None, config)


def test_paths_may_be_path_objects_and_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    image_folder(tmp_path / "test", {"cat": 3, "dog": 3}, seed=1)
    monkeypatch.setenv("HOME", str(tmp_path))
    prepared = prepare("images", train=folder, test="~/test")
    assert len(prepared.examples["test"]) == 6
    task = find_task("images")
    config = replace(task.preset(None, None), data=replace(task.preset(None, None).data, train="~/pets"))
    assert task.with_absolute_paths(config).data.train == str(folder)


def test_files_that_are_no_images_are_told(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    (folder / "cat" / "1.png").rename(folder / "cat" / "1.JFIF")
    for name in ("cat/x.heic", "dog/notes.txt", "dog/.DS_Store"):
        (folder / name).write_bytes(b"")
    notes = prepare("images", train=str(folder)).notes
    assert any("2 files in the class folders are left out" in n and n.endswith("cat/x.heic") for n in notes)
    assert sum(map(len, prepare("images", train=str(folder)).examples.values())) == 8


def test_a_folder_that_cannot_be_read_is_not_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    (folder / "cat" / "deeper").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> Any:  # the tests may run as one who may read all
        if str(path).endswith("deeper"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"deeper cannot be read \(Permission denied\)"):
        prepare("images", train=str(folder))


def test_pictures_show_every_augmentation(tmp_path: Path) -> None:
    task = find_task("digits")
    config = task.preset(None, None)
    shown, _ = task.pictures(config, 5, lambda line: None)
    assert [heading for heading, _ in shown if heading.endswith(" (not in use)")] == [
        heading for heading, _ in shown if heading.split()[0] not in ("as", "crop", "all")
    ]
    headings = [heading.split()[0] for heading, _ in shown]
    assert headings == [
        "as", "crop", "flip", "colour", "rand_augment", "erase", "mixup", "cutmix", "all",
    ]  # fmt: skip
    plain = np.stack([pixels for pixels, _ in shown[0][1]])
    assert plain.shape == (5, 1, 8, 8)
    for heading, pictures in shown[1:]:
        assert len(pictures) == 5
        assert not (np.stack([pixels for pixels, _ in pictures]) == plain).all(), heading
    assert any("+" in label for _, label in shown[6][1] + shown[7][1])
    early = replace(config, data=replace(config.data, early_scale=0.5))
    (heading, pictures), *others = task.pictures(early, 5, lambda line: None)[0][1:]
    assert heading == "early_scale 0.5"
    means = plain.reshape(5, 1, 4, 2, 4, 2).mean(axis=(3, 5))
    smaller = np.stack([pixels for pixels, _ in pictures])
    assert smaller.shape == means.shape
    assert np.corrcoef(smaller.ravel(), means.ravel())[0, 1] > 0.95
    assert {pixels.shape for _, row in others for pixels, _ in row} == {(1, 8, 8)}
    with pytest.raises(UsageError, match="has no pictures"):
        find_task("parity").pictures(find_task("parity").preset(None, None), 5, lambda line: None)


def test_a_scale_that_rounds_to_the_whole_image_is_told(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    notes = prepare("images", train=str(folder), early_scale=0.95).notes
    assert "early_scale=0.95 leaves images as they are, in whole patches of 8 pixels" in notes
    notes = prepare("images", train=str(folder), early_scale=0.5, early_share=0.01).notes
    share = "early_share=0.01 of fit.epochs=30"
    assert f"no epoch trains on shrunk images: {share}, rounded and without the last, is none" in notes
    assert not any("the first" in note for note in notes)
    assert not any("early" in note for note in prepare("images", train=str(folder)).notes)


@pytest.mark.parametrize(("epochs", "share", "early"), [(1, 0.6, 0), (2, 1.0, 1), (9, 0.8, 7), (10, 0.04, 0)])
def test_the_last_epoch_is_of_whole_images(epochs: int, share: float, early: int) -> None:
    task = find_task("cifar10")
    config = task.preset("cpu", None)
    data, fit = replace(config.data, early_share=share), replace(config.fit, epochs=epochs)
    config = replace(config, data=data, fit=fit)
    assert task.early_epochs(config) == early
    told = {"early_images": {"height": 24, "width": 24, "epochs": early}} if early else {}
    assert task.told_of_training(config, epochs) == told
    assert (task.told_of_training(config, 1) == {}) == (early == 0)
    if early:
        assert task.told_of_training(config, 1)["early_images"]["epochs"] == 1  # it was stopped early
    model = task.build_model(replace(config.model, **task.facts(None, list("abc"), config)))
    assert (task.in_training(model, config) is model) == (early == 0)
    whole = replace(config, data=replace(data, early_scale=1.0))
    assert task.told_of_training(whole, epochs) == {}
    assert task.in_training(model, whole) is model


def test_images_beside_the_class_folders_are_told(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    shutil.copy(folder / "cat" / "0.png", folder / "loose.png")
    prepared = prepare("images", train=str(folder), test=str(folder))
    told = "1 image lies beside the class folders, in no class, and is left out: loose.png"
    assert {f"data.train: {told}", f"data.test: {told}"} <= set(prepared.notes)
    assert len(prepared.examples["test"]) == 8


@pytest.mark.parametrize(
    ("crop", "size", "told"), [(8, (16, 8), True), (7, (16, 8), False), (8, (8, 8), True)]
)
def test_a_crop_as_wide_as_the_image_is_told(
    crop: int, size: tuple[int, int], told: bool, tmp_path: Path
) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    notes = prepare("images", train=str(folder), crop=crop, image_size=size).notes
    said = f"crop={crop} may move images of {size[0]} x {size[1]} pixels out of sight"
    assert any(note.startswith(said) for note in notes) == told


def test_a_folder_is_no_image_to_predict(tmp_path: Path) -> None:
    task = find_task("images")
    config = task.preset(None, None)
    with pytest.raises(UsageError, match=r"is a folder; give the paths of images$"):
        task.encode([str(tmp_path)], None, config)


def test_a_class_of_bad_images_alone_is_refused(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 6, "dog": 6, "emu": 2})
    for file in (folder / "emu").iterdir():
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match="has no image of class 'emu' that can be read"):
        prepare("images", train=str(folder), skip_bad=True)


@pytest.mark.parametrize("names", [("train", "test"), ("Train", "Test"), ("training_set", "test_set")])
def test_a_folder_of_splits_is_no_folder_of_classes(names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        image_folder(tmp_path / "data" / name, {"cat": 4, "dog": 4})
    with pytest.raises(
        DataError, match=rf"which are splits and no classes; .* as --data\.train .*/{names[0]}$"
    ):
        prepare("images", train=str(tmp_path / "data"))


def test_cifar10_that_went_through_jpeg_is_called_so(tmp_path: Path) -> None:
    prepared = prepare("cifar10", data_dir=cifar10_folder(tmp_path / "data", kind="JPEG"))
    assert any(note.startswith("CIFAR-10 (JPEG copy)") for note in prepared.notes)


def test_another_file_of_cifar10_numbers_or_names_its_classes(tmp_path: Path) -> None:
    folder = cifar10_folder(tmp_path / "data") / "cifar10"
    task = find_task("cifar10")
    config = task.preset("cpu", None)
    prepared = prepare("cifar10", data_dir=folder.parent)
    numbered, _, notes = task.other_test(config, prepared.class_names, None, str(folder / "test.parquet"), {})
    assert notes == []
    table = pa.parquet.read_table(folder / "test.parquet")
    words = [prepared.class_names[number] for number in table["label"].to_pylist()]
    pa.parquet.write_table(table.set_column(1, "kind", pa.array(words)), tmp_path / "named.parquet")
    named, _, _ = task.other_test(
        config, prepared.class_names, None, str(tmp_path / "named.parquet"), {"label": "kind"}
    )
    assert (numbered.labels == named.labels).all()
    assert numbered.labels.tolist() == [number % 10 for number in range(20)]


def test_what_was_done_to_another_file_is_noted(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    (folder / "cat" / "bad.png").write_bytes(b"no image")
    task = find_task("images")
    config = task.preset(None, None)
    config = replace(config, data=replace(config.data, skip_bad=True))
    examples, _, notes = task.other_test(config, ["cat", "dog"], None, str(folder), {})
    assert len(examples) == 8
    assert any("left out as unreadable" in note for note in notes)


def test_any_size_can_be_shown(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 8, "dog": 8})
    task = find_task("images")
    config = task.preset(None, None)
    config = replace(config, data=replace(config.data, train=str(folder), image_size=(13, 17)))
    shown, _ = task.pictures(config, 3, lambda line: None)
    assert shown[0][1][0][0].shape == (3, 13, 17)


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        (None, None, "gpu"),
        ("cuda", None, "gpu"),
        ("cpu", None, "cpu"),
        (None, "", "cpu"),
        (None, "-1", "cpu"),
    ],
)
def test_the_gpu_preset_is_for_where_the_gpu_is_used(
    device: str | None, visible: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("glassformer.tasks.base.shutil.which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("glassformer.tasks.base.Path.exists", lambda path: True)
    assert find_task("cifar10").preset_name(None, None, device) == expected
    assert find_task("digits").preset_name(None, None, device) == "cpu"


def test_nothing_is_written_beside_the_images(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "pets", {"cat": 4, "dog": 4})
    before = sorted(os.listdir(folder))
    prepare("images", train=str(folder))
    assert sorted(os.listdir(folder)) == before


def test_a_share_that_would_be_printed_as_nothing_is_left_out() -> None:
    assert _mixed_label([0.997, 0.003, 0.0], list("abc")) == "a"
    assert _mixed_label([0.25, 0.75, 0.0], list("abc")) == "0.75 b + 0.25 a"
    assert _mixed_label([0.994, 0.0, 0.006], list("abc")) == "0.99 a + 0.01 c"
