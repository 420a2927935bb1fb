"""What a folder has to be, and the one line for each that is not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from glassformer import pretrained
from glassformer.errors import DataError, UsageError
from glassformer.pretrained import checkpoint
from glassformer.pretrained.inspecting import inspect
from tests.helpers import glassformer
from tests.pretrained.published import tiny_bert

Change = Callable[[Path], object]


def change_config(**changes: object) -> Change:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-8])


def longer_header(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes((2**40).to_bytes(8, "little") + whole[8:])


def other_offsets(folder: Path) -> None:
    """One tensor is said to lie where another does."""
    whole = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    names = [name for name in header if name.endswith("LayerNorm.bias")]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + whole[8 + length :])


def as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def index_outside(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"embeddings.LayerNorm.bias": "../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def index_without_file(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"embeddings.LayerNorm.bias": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def index_that_promises(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"weight_map": {"no.such.weight": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


BROKEN: dict[str, tuple[Change, str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "holds no published model (it has no config.json)"),
    "broken": (lambda f: (f / "config.json").write_text("{"), "config.json is broken"),
    "no object": (lambda f: (f / "config.json").write_text("[1]"), "config.json is no JSON object"),
    "unknown": (change_config(model_type="t5"), "'t5', an architecture that does not run here; those"),
    "no type": (change_config(model_type=None), "model_type=None"),
    "answering": (change_config(architectures=["BertForQuestionAnswering"]), "QuestionAnswering"),
    "no size": (change_config(hidden_size="wide"), "hidden_size='wide', which is no size"),
    "negative": (change_config(num_hidden_layers=-1), "num_hidden_layers=-1, which is no size"),
    "other sizes": (change_config(num_hidden_layers=3), "missing: encoder.layer.2."),
    "fewer": (change_config(num_hidden_layers=1), "not expected: encoder.layer.1."),
    "wider": (change_config(intermediate_size=21), "of the wrong shape: encoder.layer.0.intermediate"),
    "uneven heads": (change_config(num_attention_heads=5), "heads=5 does not divide d_model=12"),
    "activation": (change_config(hidden_act="swish"), "hidden_act='swish'"),
    "positions": (change_config(position_embedding_type="relative_key"), "other positions do not run here"),
    "truncated": (cut, "is truncated or no safetensors file"),
    "header": (longer_header, "is truncated or no safetensors file"),
    "overlapping": (other_offsets, "is truncated or no safetensors file"),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "is truncated or no safetensors file"),
    "pickle": (as_pickle, "pytorch_model.bin, a pickle, which can run code when it is opened; take"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
    "outside": (index_outside, "'../model.safetensors', which is no safetensors file of its folder"),
    "no shard": (index_without_file, "lacks model-1.safetensors"),
    "promises": (index_that_promises, "lacks no.such.weight"),
}  # fmt: skip


@pytest.fixture
def folder(saved: Callable[..., Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved("bert"), tmp_path / "model"))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_gets_one_line_that_says_what_is_wrong(name: str, folder: Path) -> None:
    change, said = BROKEN[name]
    pretrained.load(str(folder))
    change(folder)
    with pytest.raises((UsageError, DataError)) as refused:
        pretrained.load(str(folder))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_more_than_the_memory_is_said_before_it_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (checkpoint.free_memory() or 1) > 0
    monkeypatch.setattr(checkpoint, "free_memory", lambda: 1000)
    monkeypatch.setattr("glassformer.pretrained.loading.read", None)
    with pytest.raises(DataError, match=r"of the memory here 0\.0 GiB are free; choose a smaller model"):
        pretrained.load(str(folder))


def test_a_name_that_is_neither_folder_nor_hub_name() -> None:
    with pytest.raises(UsageError, match="is no folder, and no name on the hub"):
        pretrained.find("no such/folder/here")
    with pytest.raises(UsageError, match="no published model is named"):
        pretrained.find("")


def test_offline_a_hub_name_says_both_ways_to_get_it() -> None:
    import os

    done = glassformer("inspect", "someone/some-bert", env=os.environ | {"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "connect this machine to the network, or fetch the model elsewhere" in done.stderr


def test_tokenisers(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    words = "a film of rare warmth ##th war , . ! nö no"
    source = pretrained.find(str(tiny_bert(tmp_path / "bert", words)))
    ours, theirs = source.tokenizer(), BertTokenizer(str(tmp_path / "bert" / "vocab.txt"))
    for text in ("A film of rare Warmth!", "Nö, no. unseen", "a  film\tof", "(warth)"):
        assert ours.encode(text).ids == theirs(text)["input_ids"]
    ours.save(str(tmp_path / "bert" / "tokenizer.json"))
    assert source.tokenizer().encode("a film").ids == ours.encode("a film").ids


def test_a_vocabulary_that_disagrees_with_the_embedding(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert", "a film of rare warmth")
    with (folder / "vocab.txt").open("a", encoding="utf-8") as file:
        file.write("more\n")
    said = r"has 'more' as token 10, but the embedding has 10 rows"
    with pytest.raises(DataError, match=said):
        pretrained.find(str(folder)).tokenizer()
    assert said.replace("\\", "") in inspect(str(folder)).faults[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a\na\n", "a word stands in it twice"), (b"\xff\xfe", "is broken"), (b"", "is broken")],
)
def test_a_broken_vocabulary(content: bytes, said: str, tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert", "a film")
    (folder / "vocab.txt").write_bytes(content)
    with pytest.raises(DataError, match=said):
        pretrained.find(str(folder)).tokenizer()
    (folder / "vocab.txt").unlink()
    with pytest.raises(DataError, match=r"has neither tokenizer\.json nor vocab\.txt"):
        pretrained.find(str(folder)).tokenizer()


def test_inspect_says_sizes_and_whether_it_runs(minilm: Path) -> None:
    found = inspect(str(minilm))
    assert found.runs
    assert found.faults == []
    assert found.sizes["layers"] == 6
    assert found.parameters == 22_565_376
    assert found.stored["F32"] == 22_713_216
    assert found.tokenizer == "30,522 tokens"


def test_inspect_on_the_command_line(folder: Path) -> None:
    done = glassformer("inspect", folder)
    assert done.returncode == 1  # it has no tokeniser
    assert "it does not run here: " in done.stdout.splitlines()[-1]
    change_config(model_type="t5")(folder)
    done = glassformer("inspect", folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("glassformer: config.json says model_type='t5'")
