"""What a folder has to be, and the one line for each that is not."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassformer import pretrained
from glassformer.cli import main
from glassformer.errors import DataError, UsageError
from glassformer.models.vision_config import PretrainedVisionConfig
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.pretrained import checkpoint
from glassformer.pretrained.inspecting import inspect
from glassformer.pretrained.loading import start_from, with_sizes
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
    "other head": (change_config(architectures=["BertLMHeadModel"]), "those that run here: BertModel, Bert"),
    "quantised": (change_config(quantization_config={"bits": 4}), "has a quantization_config"),
    "layers": (change_config(num_hidden_layers=10**9), "layers=1,000,000,000, and no tensor"),
    "giant": (change_config(hidden_size=3 * 2**28), "d_model=805,306,368, and no tensor"),
    "vocabulary": (change_config(vocab_size=10**9), "vocab=1,000,000,000, and no tensor"),
    "no word": (change_config(hidden_act=["gelu"]), "hidden_act=['gelu']"),
    "no size": (change_config(hidden_size="wide"), "hidden_size='wide', which is no size"),
    "negative": (change_config(num_hidden_layers=-1), "num_hidden_layers=-1, which is no size"),
    "other sizes": (change_config(num_hidden_layers=3), "missing: encoder.layer.2."),
    "fewer": (change_config(num_hidden_layers=1), "not expected: encoder.layer.1."),
    "wider": (change_config(intermediate_size=21), "of another kind: encoder.layer.0.intermediate"),
    "uneven heads": (change_config(num_attention_heads=5), "5 heads, which do not share d_model=12"),
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
    with pytest.raises(DataError, match=r"0\.0 GiB are free here; choose a smaller model"):
        pretrained.load(str(folder))


def test_a_name_that_is_neither_folder_nor_hub_name() -> None:
    with pytest.raises(UsageError, match="is no folder, and no name on the hub"):
        pretrained.find("no such/folder/here")
    with pytest.raises(UsageError, match="no published model is named"):
        pretrained.find("")


@pytest.mark.parametrize("kind", ["vit-model", "vit-pair"])
def test_a_vision_transformer_without_a_head_and_with_two_sides(
    kind: str, saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(saved("vit"), tmp_path / "model"))
    images = torch.rand(2, 3, 12, 12)
    whole = pretrained.load(str(folder))
    assert isinstance(whole, VisionTransformer)
    if kind == "vit-pair":
        change_config(image_size=[12, 12])(folder)
        assert torch.equal(pretrained.load(str(folder))(images), whole(images))
        change_config(image_size=[12, 12, 3])(folder)
        with pytest.raises(DataError, match="which is no height and width"):
            pretrained.load(str(folder))
        return
    tensors = load_file(folder / "model.safetensors")
    bare = {k.removeprefix("vit."): v for k, v in tensors.items() if k.startswith("vit.")}
    save_file(bare, folder / "model.safetensors")
    change_config(architectures=["ViTModel"])(folder)
    assert inspect(str(folder)).runs
    hidden = pretrained.load(str(folder))(images)
    torch.testing.assert_close(whole.head(hidden), whole(images))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"image_std": [0, 0, 0]}, "image_std=[0, 0, 0], by which"),
        ({"image_mean": None}, "image_mean=None, by which"),
        ({"image_mean": [0.5, 0.5]}, "image_mean=[0.5, 0.5], by which"),
        ({"do_rescale": False}, "do_rescale=False; pixels are read from 0 to 255"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor="),
    ],
)
def test_pixels_that_cannot_be_scaled(
    content: dict[str, object], said: str, saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(saved("vit"), tmp_path / "model"))
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    source = pretrained.find(str(folder))
    model = VisionTransformer(with_sizes(PretrainedVisionConfig(classes=3), source).as_vit())
    with pytest.raises(DataError, match=re.escape(said)):
        start_from(model, source)


def test_whole_numbers_are_no_weights_and_no_name_stands_twice(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = "encoder.layer.0.attention.self.query.weight"
    save_file(tensors | {name: torch.ones(12, 12, dtype=torch.int8)}, folder / "model.safetensors")
    with pytest.raises(DataError, match=f"{name} is I8, which are no weights"):
        pretrained.load(str(folder))
    old = {"embeddings.LayerNorm.gamma": torch.ones(12)}
    save_file(tensors | old, folder / "model.safetensors")
    with pytest.raises(DataError, match="one is too many"):
        pretrained.load(str(folder))


@pytest.mark.parametrize("padding", [-5, 22, "1", True])
def test_places_are_counted_from_a_padding_token_that_there_is(
    padding: object, saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(saved("roberta"), tmp_path / "model"))
    change_config(pad_token_id=padding)(folder)
    with pytest.raises(DataError, match="from which places cannot be counted"):
        pretrained.load(str(folder))


def test_what_the_tokeniser_puts_around_a_text_has_rows_too(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert", "a film")
    tokenizer = pretrained.find(str(folder)).tokenizer()
    content = json.loads(tokenizer.to_str())
    content["post_processor"]["cls"] = ["[CLS]", 99999]
    (folder / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="as token 99999, but the embedding has 7 rows"):
        pretrained.find(str(folder)).tokenizer()


def test_a_word_may_hold_what_ends_lines_elsewhere(tmp_path: Path) -> None:
    folder = tiny_bert(tmp_path / "bert", "a film tail")
    words = (folder / "vocab.txt").read_text().split("\n")
    words[5] = "a\x85b"
    (folder / "vocab.txt").write_text("\r\n".join(words), encoding="utf-8", newline="")
    assert pretrained.find(str(folder)).tokenizer().token_to_id("tail") == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {name: masked-lm, layers: 1.0}", "layers=1.0 is no int"),
        ("model: {name: masked-lm, layers: 1, norm: weird}", "norm='weird'"),
        ("model: {name: transformer}", "is a run with a transformer model"),
        ("[" * 5000, "is broken or of another version"),
        ("model: 3", "is broken or of another version"),
    ],
)
def test_a_broken_run(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises((UsageError, DataError), match=re.escape(said)):
        pretrained.find(str(tmp_path))
    sizes = "layers: 1, heads: 1, d_model: 4, d_ff: 4, vocab: 9, max_tokens: 9"
    (tmp_path / "config.yaml").write_text(f"model: {{name: masked-lm, {sizes}}}")
    with pytest.raises(DataError, match="finish it with glassformer pretrain --resume"):
        pretrained.find(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"garbage!!")
    with pytest.raises(DataError, match="truncated or no safetensors file"):
        pretrained.find(str(tmp_path))


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


def test_inspect_on_the_command_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder)]) == 1  # it has no tokeniser
    assert "it does not run here: " in capsys.readouterr().out.splitlines()[-1]
    change_config(model_type="t5")(folder)
    assert main(["inspect", str(folder)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("glassformer: config.json says model_type='t5'")
    assert said.err.count("\n") == 1
