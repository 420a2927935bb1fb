import os
from pathlib import Path

import pytest
import torch

from glassformer.cache import write_atomically, write_folder_atomically
from glassformer.errors import DataError
from glassformer.training.checkpoint_io import SafetensorsCheckpointIO

STATE = {
    "epoch": 3,
    "state_dict": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(2, dtype=torch.int64)},
    "optimizer_states": [
        {"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": [{"betas": (0.9, 0.98)}]}
    ],
    "loops": {"nested": [True, None, 1.5, "word", {"x": []}]},
}


def equal(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return type(one) is type(other) and all(map(equal, one, other)) and len(one) == len(other)
    return one == other and type(one) is type(other)


def test_round_trip_keeps_types(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    SafetensorsCheckpointIO().save_checkpoint(STATE, path)
    assert equal(SafetensorsCheckpointIO().load_checkpoint(path), STATE)
    assert os.listdir(tmp_path) == ["state.safetensors"]


def test_shared_and_strided_tensors(tmp_path: Path) -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    state = {"one": tensor, "same": tensor, "transposed": tensor.T}
    SafetensorsCheckpointIO().save_checkpoint(state, tmp_path / "x")
    assert equal(SafetensorsCheckpointIO().load_checkpoint(tmp_path / "x"), state)


def test_objects_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not set"):
        SafetensorsCheckpointIO().save_checkpoint({"x": {1, 2}}, tmp_path / "x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"garbage that is long enough", b"\x80\x04\x95."])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match="is missing or broken"):
        SafetensorsCheckpointIO().load_checkpoint(tmp_path / "x")


def test_no_pickle_is_read(tmp_path: Path) -> None:
    torch.save({"weights": torch.ones(2)}, tmp_path / "x")
    with pytest.raises(DataError, match="is missing or broken"):
        SafetensorsCheckpointIO().load_checkpoint(tmp_path / "x")


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def fails(scratch: Path) -> None:
        scratch.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, fails)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_write_that_fails_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    def removes_its_folder(scratch: Path) -> None:
        (tmp_path / "in").rmdir()
        scratch.write_text("half")

    with pytest.raises(OSError, match="No such file") as raised:
        write_atomically(tmp_path / "in" / "x", removes_its_folder)
    assert raised.value.filename == str(tmp_path / "in" / "x")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory") as raised:
        write_folder_atomically(tmp_path / "file" / "x", lambda scratch: None)
    assert raised.value.filename == str(tmp_path / "file" / "x")


def test_a_folder_that_may_not_be_looked_into_is_told_by_the_name_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(PermissionError) as refused:
        write_atomically(tmp_path / "page.png", refuse)
    assert refused.value.filename == str(tmp_path / "page.png")
