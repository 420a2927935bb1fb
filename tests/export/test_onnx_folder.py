"""An exported folder is used as a run is; a broken one gets one line; a wrong one is never written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from onnx import helper, numpy_helper

import glassformer
from glassformer.cli import main
from glassformer.errors import DataError
from glassformer.export import extra
from glassformer.export.folder import sha256
from glassformer.export.session import OnnxModel
from glassformer.tasks.config import MachineConfig
from glassformer.training.loaded import load as load_run
from tests.helpers import python, reviews, write_csv

CPU = MachineConfig("cpu", "fp32", 1)
TEXTS = ["a wonderful film", "boring", " ".join(["great acting and a dull story"] * 9)]


def refused(capsys: pytest.CaptureFixture[str], status: int, *words: object) -> str:
    """The one line of an answer."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("glassformer: ")]
    assert lines == captured.err.splitlines()[-1:]
    assert "GLASSFORMER_TRACEBACK" not in lines[0]  # which is told where nobody had thought of it
    return lines[0]


def told(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


# --- what is written, and used ----------------------------------------------------------------------------


def test_the_folder_is_complete(exported: Path) -> None:
    assert {path.name for path in exported.iterdir()} == {
        "model.onnx", "config.yaml", "tokenizer.json", "metrics.json", "provenance.json", "export.json",
        "README.md",
    }  # fmt: skip
    facts = json.loads((exported / "export.json").read_text())
    assert facts["format"] == "onnx"
    assert facts["check"]["batches"] > 10
    assert facts["check"]["largest"] <= facts["check"]["tolerance"] == 1e-4
    assert facts["int8"] is None
    assert facts["versions"]["onnxruntime"]
    assert facts["sha256"].keys() == {path.name for path in exported.iterdir()} - {"export.json", "README.md"}
    for name, digest in facts["sha256"].items():
        assert sha256((exported / name).read_bytes()) == digest


def test_predicts_as_the_run_does(text_run: Path, exported: Path) -> None:
    run, other = load_run(text_run, CPU), glassformer.load(exported, CPU)
    predictions = run.predict(TEXTS)
    assert len({each.label for each in predictions} | {"so | so"}) > 1
    for one, two in zip(predictions, other.predict(TEXTS), strict=True):
        assert type(one) is type(two)
        assert (one.input, one.label) == (two.input, two.label)
        assert two.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert other.parameters == run.parameters > 0
    assert other.predict([]) == []
    with pytest.raises(ValueError, match="an empty text cannot be predicted"):
        other.predict([" "])


@pytest.mark.parametrize("words", [["--json"], []])
def test_the_command_line_says_the_same(words, text_run: Path, exported: Path, capsys) -> None:
    one, two = (
        told(capsys, "predict", folder, *words, "--threads", 1, *TEXTS) for folder in (text_run, exported)
    )
    if words:
        ones, twos = ([json.loads(line) for line in said.splitlines()] for said in (one, two))
        for each, other in zip(ones, twos, strict=True):
            assert other.pop("probabilities") == pytest.approx(each.pop("probabilities"), abs=1e-5)
            assert other == each
    else:
        assert one == two  # three digits of a probability


def test_is_judged_as_the_run_is(text_run: Path, exported: Path, tmp_path: Path, capsys) -> None:
    figures = []
    for folder in (text_run, exported):
        path = tmp_path / "figures.json"
        told(capsys, "evaluate", folder, "--no-baselines", "--threads", 1, "--json", path)
        figures.append(json.loads(path.read_text()))
    one, two = figures
    assert two["parameters"] == one["parameters"]
    assert two["test"]["confusion"] == one["test"]["confusion"]
    assert two["test"]["nll"] == pytest.approx(one["test"]["nll"], abs=1e-5)
    words, _ = reviews(20, seed=1)
    other = write_csv(tmp_path / "other.csv", [(text, "bad") for text in words])
    assert "20 test examples" in told(
        capsys, "evaluate", exported, "--no-baselines", "--threads", 1, "--data.test", other
    )


def test_images(image_run: Path, tmp_path: Path, capsys) -> None:
    from PIL import Image

    folder = tmp_path / "folder"
    told(capsys, "export", image_run, "--threads", 1, "--out", folder)
    assert not (folder / "tokenizer.json").exists()
    assert "`images`, (batch, channels, height, width) float32" in (folder / "README.md").read_text()
    names = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        names.append(str(tmp_path / f"{number}.png"))
    run, other = load_run(image_run, CPU), glassformer.load(folder, CPU)
    for one, two in zip(run.predict(names), other.predict(names), strict=True):
        assert two.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert "there is no image file nowhere.png" in refused(capsys, 2, "predict", folder, "nowhere.png")


def test_int8(text_run: Path, exported: Path, smaller: Path) -> None:
    facts = json.loads((smaller / "export.json").read_text())["int8"]
    assert facts["examples"] == 9
    assert 0.9 <= facts["agreement"] <= 1
    assert facts["bytes_int8"] == (smaller / "model.onnx").stat().st_size
    assert facts["bytes_fp32"] == (exported / "model.onnx").stat().st_size
    card = (smaller / "README.md").read_text()
    assert f"{facts['bytes_int8']:,} bytes instead of {facts['bytes_fp32']:,}" in card
    assert f"{facts['agreement']:.4f} of its labels are those of fp32" in card
    graph = onnx.load(smaller / "model.onnx").graph
    assert {"MatMulInteger", "DequantizeLinear"} & {node.op_type for node in graph.node}
    for one, two in zip(
        load_run(text_run, CPU).predict(TEXTS), glassformer.load(smaller, CPU).predict(TEXTS), strict=True
    ):
        assert two.probabilities != one.probabilities
        assert two.probabilities == pytest.approx(one.probabilities, abs=0.05)


# --- what is wrong is not written -------------------------------------------------------------------------


def changed_weight(graph: onnx.ModelProto) -> None:
    largest = max(graph.graph.initializer, key=lambda each: len(numpy_helper.to_array(each).ravel()))
    values = numpy_helper.to_array(largest).copy()
    values[..., 0] += values.std()  # all of them would be undone by the layer norms
    largest.CopyFrom(numpy_helper.from_array(values, largest.name))


def ignored_mask(graph: onnx.ModelProto) -> None:
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            if name == "mask":
                node.input[place] = "all_real"
    graph.graph.node.insert(0, helper.make_node("Equal", ["ids", "ids"], ["all_real"]))


@pytest.mark.parametrize("mistake", [changed_weight, ignored_mask], ids=lambda mistake: mistake.__name__)
def test_a_wrong_graph_is_not_written(
    mistake: Callable[[Any], None], text_run: Path, exported: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    graph = onnx.load(exported / "model.onnx")
    monkeypatch.setattr("glassformer.export.to_onnx.onnx_graph", lambda model: graph)
    words = "export", text_run, "--threads", 1, "--out", tmp_path / "right"
    told(capsys, *words)
    mistake(graph)
    said = refused(capsys, 1, *words[:-1], tmp_path / "wrong")
    assert "the graph and the model differ by" in said
    assert "nothing was written" in said
    if mistake is ignored_mask:
        assert "padded" in said
    assert [path.name for path in tmp_path.iterdir()] == ["right"]


def test_int8_that_answers_otherwise_is_not_written(
    text_run, exported, tmp_path, capsys, monkeypatch
) -> None:
    graph = onnx.load(exported / "model.onnx")
    monkeypatch.setattr("glassformer.export.to_onnx.onnx_graph", lambda model: graph)

    def spoilt(graph: onnx.ModelProto) -> bytes:
        other = onnx.ModelProto()
        other.CopyFrom(graph)
        for node in other.graph.node:
            node.output[:] = ["turned" if name == "logits" else name for name in node.output]
        other.graph.node.append(helper.make_node("Neg", ["turned"], ["logits"]))
        return other.SerializeToString()

    monkeypatch.setattr("glassformer.export.to_onnx.to_int8", spoilt)
    said = refused(capsys, 1, "export", text_run, "--int8", "--threads", 1, "--out", tmp_path / "folder")
    assert "INT8 changes the label of 100% of" in said
    assert not list(tmp_path.iterdir())


# --- one line to whatever cannot be done ------------------------------------------------------------------


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copied"))


def with_facts(folder: Path, **facts: Any) -> None:
    path = folder / "export.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def with_file(folder: Path, name: str, content: bytes) -> None:
    """Another file in its place, and its checksum, as who makes up a folder would put them."""
    (folder / name).write_bytes(content)
    sums = json.loads((folder / "export.json").read_text())["sha256"]
    with_facts(folder, sha256=sums | {name: sha256(content)})


def with_graph(folder: Path, content: bytes) -> None:
    with_file(folder, "model.onnx", content)


def other_graph(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    graph.graph.input[0].name = "words"
    for node in graph.graph.node:
        node.input[:] = ["words" if name == "ids" else name for name in node.input]
    with_graph(folder, graph.SerializeToString())


def mean_of(*shape: int | str, ids: int = onnx.TensorProto.INT64, axes: tuple[int, ...] = (1,)) -> bytes:
    """A graph that says something of ids and mask: as many equal logits as the last axis of shape says."""
    names = ("ids", ids, ["batch", "tokens"]), ("mask", onnx.TensorProto.BOOL, ["batch", "tokens"])
    nodes = [
        helper.make_node("Cast", ["ids"], ["numbers"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["mean"], keepdims=int(len(shape) == 2)),
        helper.make_node("Expand", ["mean", "size"], ["logits"]),
    ]
    size = [shape[-1] if isinstance(shape[-1], int) else 5] if len(shape) == 2 else [1]
    constants = [
        numpy_helper.from_array(np.array(values, dtype=np.int64), name)
        for name, values in (("axes", axes), ("size", size))
    ]
    inputs = [helper.make_tensor_value_info(*each) for each in names]
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "mean", inputs, [logits], constants)
    opset = helper.make_opsetid("", 20)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def outside(name: str, path: Path) -> onnx.TensorProto:
    """A tensor whose numbers stand in another file."""
    tensor = numpy_helper.from_array(np.zeros(3, dtype=np.float32), name)
    path.write_bytes(tensor.raw_data)
    onnx.external_data_helper.set_external_data(tensor, path.name)
    tensor.ClearField("raw_data")
    return tensor


def external_weights(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    graph.graph.initializer.append(outside("far", folder / "far.bin"))
    with_graph(folder, graph.SerializeToString())


def external_in_a_subgraph(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    told = helper.make_tensor_value_info("far", onnx.TensorProto.FLOAT, [3])
    branch = helper.make_graph([], "branch", [], [told], [outside("far", folder / "far.bin")])
    true = helper.make_node("Constant", [], ["true"], value=numpy_helper.from_array(np.array(True)))
    node = helper.make_node("If", ["true"], ["unused"], then_branch=branch, else_branch=branch)
    graph.graph.node.extend([true, node])
    with_graph(folder, graph.SerializeToString())


def external_constant(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    far = outside("far", folder / "far.bin")
    graph.graph.node.append(helper.make_node("Constant", [], ["unused"], value=far))
    with_graph(folder, graph.SerializeToString())


def one_size(folder: Path) -> None:
    graph = onnx.load_model_from_string(mean_of("batch", 3))
    for each in graph.graph.input:
        each.type.tensor_type.shape.dim[1].dim_value = 77
    with_graph(folder, graph.SerializeToString())


def reversed_classes(folder: Path, names: Any = None) -> bytes:
    """A configuration with other names of classes: backwards, or as given."""
    content = yaml.safe_load((folder / "config.yaml").read_text())
    content["class_names"] = names or content["class_names"][::-1]
    return yaml.safe_dump(content, sort_keys=False).encode()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no graph": (
        lambda at: (at / "model.onnx").unlink(),
        "is incomplete (it has no model.onnx); export the run",
    ),
    "no tokeniser": (lambda at: (at / "tokenizer.json").unlink(), "is incomplete (it has no tokenizer.json)"),
    "another tokeniser": (
        lambda at: (at / "tokenizer.json").write_text("{}"),
        "tokenizer.json is not what was exported (its checksum differs); export the run anew",
    ),
    "an empty tokeniser": (
        lambda at: with_file(at, "tokenizer.json", b"{}"),
        "tokenizer.json is broken (",
    ),
    "a tokeniser of bytes": (
        lambda at: with_file(at, "tokenizer.json", b"\xff\xfe\x00"),
        "tokenizer.json is broken ('utf-8' codec",
    ),
    "half a graph": (
        lambda at: (at / "model.onnx").write_bytes((at / "model.onnx").read_bytes()[:999]),
        "model.onnx is not what was exported",
    ),
    "no graph at all": (
        lambda at: with_graph(at, b"words"),
        "model.onnx is broken or too new for onnxruntime (",
    ),
    "a foreign graph": (
        other_graph,
        "model.onnx takes words, mask and gives logits, not as glassformer writes it; export it anew",
    ),
    "words as decimals": (
        lambda at: with_graph(at, mean_of("batch", 3, ids=onnx.TensorProto.FLOAT)),
        "has ids as tensor(float) with 2 axes, and glassformer writes tensor(int64) with 2; export it anew",
    ),
    "logits in a row": (
        lambda at: with_graph(at, mean_of("batch")),
        "has logits as tensor(float) with 1 axes, and glassformer writes tensor(float) with 2; export it",
    ),
    "five classes of three": (
        lambda at: with_graph(at, mean_of("batch", 5)),
        "gives 5 logits, and there are 3 class names; export it anew",
    ),
    "texts of one length": (one_size, "cannot be computed on a batch of "),
    "weights in another file": (external_weights, "keeps far in another file, and glassformer writes one"),
    "weights of a branch in another file": (external_in_a_subgraph, "keeps far in another file"),
    "a constant in another file": (external_constant, "keeps far in another file"),
    "another version": (
        lambda at: with_facts(at, schema_version=9),
        "is of version 9, this glassformer reads version 2",
    ),
    "no JSON": (lambda at: (at / "export.json").write_text("{"), "export.json is missing or broken ("),
    "a list": (lambda at: (at / "export.json").write_text("[]"), "is of version None"),
    "no checksums": (lambda at: with_facts(at, sha256=None), "export.json is broken (it has no checksums"),
    "no configuration": (
        lambda at: (at / "config.yaml").unlink(),
        "is incomplete (it has no config.yaml); export the run anew",
    ),
    "classes reversed": (
        lambda at: (at / "config.yaml").write_bytes(reversed_classes(at)),
        "config.yaml is not what was exported (its checksum differs); export the run anew",
    ),
    "another configuration": (
        lambda at: (at / "config.yaml").write_bytes(b"a: ["),
        "config.yaml is not what was exported (its checksum differs); export the run anew",
    ),
    "a broken configuration": (
        lambda at: with_file(at, "config.yaml", b"a: ["),
        "config.yaml is broken",
    ),
    "classes that are a number": (
        lambda at: with_file(at, "config.yaml", reversed_classes(at, names=3)),
        "config.yaml is broken (its class_names are no list of names); export the run anew",
    ),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_damaged_folder_gets_one_line(damage: str, copied: Path, capsys) -> None:
    change, message = BROKEN[damage]
    change(copied)
    assert message in refused(capsys, 1, "predict", copied, "good")


def test_every_example_gets_its_logits() -> None:
    model = OnnxModel(mean_of("batch", "classes", axes=(0, 1)))
    assert model(torch.ones(1, 3, dtype=torch.int64)).tolist() == [[1] * 5]
    with pytest.raises(DataError, match="the graph gives logits of 1 x 5 for a batch of 2, not as glassform"):
        model(torch.ones(2, 3, dtype=torch.int64))


def test_classes_that_only_the_answer_shows_are_counted() -> None:
    inputs = [
        helper.make_tensor_value_info(name, kind, ["batch", "tokens"])
        for name, kind in (("ids", onnx.TensorProto.INT64), ("mask", onnx.TensorProto.BOOL))
    ]
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "tokens"])
    node = helper.make_node("Cast", ["ids"], ["logits"], to=onnx.TensorProto.FLOAT)
    graph = helper.make_graph([node], "cast", inputs, [logits])
    opset = helper.make_opsetid("", 20)
    content = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    model = OnnxModel(content, classes=3)
    assert model(torch.ones(2, 3, dtype=torch.int64)).shape == (2, 3)
    with pytest.raises(DataError, match="the graph gives 5 logits, and there are 3 class names; export it"):
        model(torch.ones(2, 5, dtype=torch.int64))


def test_only_the_cpu_computes(exported: Path, capsys) -> None:
    said = refused(capsys, 2, "predict", exported, "good", "--device", "cuda")
    assert "device=cuda: an exported model computes on the CPU" in said
    said = refused(capsys, 2, "predict", exported, "good", "--precision", "bf16")
    assert "precision=bf16: an exported model computes in the format of its graph" in said


@pytest.mark.parametrize(
    "command", [["explain", "RUN", "good"], ["diagram", "RUN"], ["report", "RUN"], ["export", "RUN"]]
)
def test_other_commands_want_the_run(command: list[str], exported: Path, capsys) -> None:
    words = [str(exported) if word == "RUN" else word for word in command]
    assert "is an exported model, which predict and evaluate take; give the run it was made from" in refused(
        capsys, 2, *words
    )


def test_what_was_typed_is_checked_first(text_run: Path, tmp_path: Path, capsys) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    for words, message in (
        (["--out", taken], f"{taken} is there and not an empty folder; choose another --out"),
        (["--out", taken / "mine.txt"], "is there and not an empty folder"),
        (["--out", taken / "mine.txt" / "x"], "mine.txt is no folder to write into; choose another --out"),
        (["--format", "hub", "--int8"], "--int8 is for ONNX, and --format hub asks for another"),
        (["--format", "onyx"], "onyx"),
        (["--int8", "--examples", 0], "examples=0 compares nothing; choose 1 or more"),
        (["--precision", "bf16"], "export computes on the CPU in fp32"),
        (["--device", "cuda"], "export computes on the CPU in fp32"),
        (["--seed", -1], "seed=-1 is out of range"),
    ):
        assert message in refused(capsys, 2, "export", text_run, *words)
    assert "nowhere is not a run" in refused(capsys, 2, "export", "nowhere")
    shutil.copytree(text_run, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "metrics.json").unlink()
    said = refused(capsys, 2, "export", tmp_path / "unfinished")
    assert "unfinished is not finished (it has no metrics.json); finish it with: glassformer train" in said
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]


def test_a_model_that_writes_sequences_has_no_export(tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    sizes = (
        "--data.length 2 --data.alphabet 4 --model.d-model 8 --model.d-ff 8 --model.heads 2 --fit.epochs 1"
    )
    told(capsys, "train", "copy", *sizes.split(), "--threads", 1, "--no-baselines", "--run-dir", run)
    for kind, message in (("onnx", "EncoderDecoder has no ONNX export; "), ("hub", "form of EncoderDecoder")):
        assert message in refused(capsys, 2, "export", run, "--format", kind)


def test_int8_without_the_data_is_not_written(text_run, exported, tmp_path, capsys, monkeypatch) -> None:
    run = Path(shutil.copytree(text_run, tmp_path / "run"))
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("reviews.csv", "gone.csv"))
    graph = onnx.load(exported / "model.onnx")
    monkeypatch.setattr("glassformer.export.to_onnx.onnx_graph", lambda model: graph)
    said = refused(capsys, 2, "export", run, "--int8", "--threads", 1, "--out", tmp_path / "folder")
    assert "INT8 is compared on the run's validation examples, but there is no file" in said
    assert not (tmp_path / "folder").exists()


def test_without_the_extra(text_run: Path, exported: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    line = "not installed here; pip install 'glassformer[export]'"
    assert f"onnx and onnxscript and onnxruntime, {line}" in refused(
        capsys, 1, "export", text_run, "--out", tmp_path / "folder"
    )
    assert f"needs onnx and onnxruntime, {line}" in refused(capsys, 1, "predict", exported, "good")
    with pytest.raises(DataError, match="onnxruntime, not installed here"):
        glassformer.load(exported)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["export --help", "predict --help"])
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from glassformer.cli import main\n"
        f"try: main({command.split()!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'numpy', 'onnx', 'onnxruntime', 'transformers', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = python(code)
    assert "--threads" in done.stdout
