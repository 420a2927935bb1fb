"""What the command line answers: help at once, and one line to whatever cannot be done."""

import contextlib
import errno
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from glassformer.cli import main
from glassformer.commands import COMMANDS
from glassformer.commands.parsing import parse
from glassformer.commands.task_options import TaskOptions, config_of, task_options
from glassformer.commands.train import TrainOptions
from glassformer.config_files import flags_of_mapping, options_in
from glassformer.errors import UsageError
from glassformer.models.configs import FACTS
from glassformer.tasks import PRETRAINING, TASKS, find_task
from glassformer.tasks.text import UserTextData
from glassformer.training.run_folder import write_config
from tests.helpers import glassformer, image_folder, python, write_csv

PARITY = "train parity --data.bits 6 --data.strings 64 --fit.epochs 1 --threads 1"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLASSFORMER_DATA", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def refused(command: str, status: int, capsys: pytest.CaptureFixture[str], *extra: str) -> str:
    """The one line of an answer; nothing may have been written where the user stands."""
    assert main([*command.split(), *extra]) == status
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("glassformer: ")]
    assert captured.out == ""
    assert len(lines) == 1
    assert captured.err.splitlines()[-1] == lines[0]
    assert os.listdir() == []
    return lines[0]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("trian imdb", "there is no command 'trian'; did you mean train?"),
        ("train imbd", "there is no task 'imbd'; did you mean imdb?"),
        ("train", ""),
        ("train --model.layers 2", "train wants the task first"),
        ("train parity --model.layer 2", "options: --model.layer; perhaps you meant --model.layers"),
        ("train parity --preset gpuu", "parity has no preset 'gpuu'"),
        ("train parity --model.name recurent", "no model 'recurent'; did you mean recurrent?"),
        ("train parity --model.positions rotory", "rotory"),
        ("train parity --model.heads 5", "heads=5 does not divide d_model=32; choose one of 1, 2, 4, 8, 16"),
        ("train parity --model.layers 0", "layers=0 is not a size; choose 1 or more"),
        ("train parity --model.d-ff -4", "d_ff=-4 is not a size"),
        ("train parity --fit.epochs 0", "epochs=0 is not a size"),
        ("train parity --fit.batch-size -1", "batch_size=-1 is not a size"),
        ("train parity --data.bits 1", "bits=1 is out of range; choose 2 to 62"),
        ("train parity --model.layers two", "--model.layers wants a whole number, not 'two'"),
        ("train parity --model.dropout 1.5", "dropout=1.5 is not a probability below 1"),
        ("train parity --model.vocab 9", "--model.vocab cannot be chosen: the data or"),
        ("train parity --model.cell lstm", "--model.cell is one of --model.name recurrent"),
        ("train imdb --pretrained BERT", "--model.pretrained is one of --model.name pretrained"),
        ("train imdb --model.pretrained", "--model.pretrained"),
        ("train imdb --model.pretrained BERT --model.layers 3", "--model.layers cannot be chosen"),
        ("train parity --optim.learning-rate 0", "learning_rate=0.0 is not positive"),
        ("train parity --threads -2", "threads=-2 is negative"),
        ("train parity --seed -1", "seed=-1 is out of range"),
        ("train parity --config nowhere.yaml", "--config nowhere.yaml cannot be read"),
        ("train parity --resume x", "--resume takes no task"),
        ("train --resume nowhere", "nowhere is not a run"),
        ("train --resume", "--resume wants a value"),
        ("train --resume x --no-baselines --seed 1", "takes no '--seed'; --no-baselines alone may differ"),
        ("train text", "give --data.train FILE"),
        ("train text --data.train nowhere.csv", "there is no file or folder nowhere.csv"),
        ("train text --data.fraction 0", "fraction=0.0 is not a share"),
        ("train text --data.vocab 10000001", "vocab=10000001 is out of range; choose 1 to 10,000,000"),
        ("train text --data.train .", ". is a folder; give a file"),
        ("compare parity --vary model.layers=1,2 --seeds 0", "seeds=0 has to be 1 or more"),
        ("compare parity --vary model.layers=1,2 --jobs -1", "jobs=-1 has to be 1 or more"),
        ("train imdb --data-dir nowhere", "there is no nowhere/imdb/train.parquet; --data-dir"),
        ("evaluate nowhere", "nowhere is not a run"),
        ("evaluate", "required"),
        ("evaluate nowhere --data.text body", "give that file with --data.test too"),
        ("predict nowhere hello", "nowhere is not a run"),
        ("predict nowhere a.png --no-skip-bad", "Unrecognized options: --no-skip-bad"),
        ("evaluate nowhere --no-skip-bad", "Unrecognized options: --no-skip-bad"),
        ("predict nowhere", "nothing to predict"),
        ("predict nowhere --jsn hello", "Unrecognized options: --jsn"),
        ("tasks all", "tasks takes no options"),
    ],
)  # fmt: skip
def test_what_was_typed_gets_one_line_and_status_2(command, message, capsys) -> None:
    if command == "train":
        assert main(["train"]) == 2
        return
    assert message in refused(command, 2, capsys)


def test_a_device_that_is_not_there(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    answer = refused("train parity --device cuda", 2, capsys)
    assert "device=cuda is not there on this machine; choose auto or cpu" in answer


def test_an_empty_text_to_predict(capsys) -> None:
    for texts in ([""], ["good", "  "]):
        assert "an empty input cannot be predicted" in refused("predict nowhere", 2, capsys, *texts)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 255999999744 bytes. Error",
            "238 GiB",
        ),
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has", "2.50 GiB"),
    ],
)
def test_too_little_memory_is_told_with_the_way_out(said, size, capsys, monkeypatch) -> None:
    def no_room(words: list[str]) -> int:
        raise RuntimeError(said)

    monkeypatch.setattr("glassformer.commands.tasks.run", no_room)
    answer = refused("tasks", 1, capsys)
    assert answer == (
        f"glassformer: there is no memory for {size} more; choose a smaller model, a smaller "
        "--fit.batch-size, or shorter inputs"
    )


def test_missing_column(capsys, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("x", i % 2) for i in range(20)], header=("review", "label"))
    assert "has no column 'text'" in refused(f"train text --data.train {path}", 2, capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"text,label\n", "has no rows"),
        (("text,label\n" + "caf\xe9,1\ntea,0\n" * 9).encode("latin-1"), "is not UTF-8 text"),
        (b"text,label\none,a\ntwo,a\nthree,a\n", "has one class only ('a')"),
        (b"text,label\none,a\ntwo,a\nthree,b\n", "the class 'b' has 1 example"),
        (
            b"text,label\none,a\ntwo,a\nthree," + b"b" * 60 + b"\nfour,c\n",
            f"2 of 3 classes have 1 example left, such as '{'b' * 40}...', too few to hold one out; if these",
        ),
    ],
)
def test_a_bad_file_gets_one_line_and_status_1(content, message, capsys, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert message in refused(f"train text --data.train {tmp_path / 'a.csv'}", 1, capsys)


def test_a_label_unseen_in_training(capsys, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "a.csv", [(f"some words {i}", "ab"[i % 2]) for i in range(20)])
    test = write_csv(tmp_path / "b.csv", [("some words", "a"), ("words", "c")])
    answer = refused(f"train text --data.train {train} --data.test {test}", 1, capsys)
    assert "row 2 has the label 'c'" in answer


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A limit on the size of a file stands in for the disk: the weights do not fit, the rest does."""
    resource = pytest.importorskip("resource", reason="this system has no limits on file sizes")
    folder = tmp_path / "run"
    command = f"{PARITY} --model.d-model 64 --model.d-ff 512 --run-dir {folder}"
    done = subprocess.run(
        [sys.executable, "-m", "glassformer", *command.split()],
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("glassformer: ")
    assert not (folder / "model.safetensors").exists()
    assert not list(folder.rglob("*.tmp"))


def test_the_request_to_end_is_heard_as_ctrl_c_is(tmp_path: Path) -> None:
    code = f"""
import sys, tempfile, time
from glassformer import cli

def working(words):
    with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}, prefix=".half"):
        print("begun", flush=True)
        time.sleep(60)

cli.run = working
sys.exit(cli.main())
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "glassformer: stopped\n")
    assert not list(tmp_path.glob(".half*"))


# --- help and speed ---------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP is PyTorch's on Linux")
@pytest.mark.parametrize(("chosen", "spins"), [({}, 1000), ({"GOMP_SPINCOUNT": "77"}, 77)])
def test_threads_that_wait_soon_sleep_unless_the_user_said_otherwise(
    chosen: dict[str, str], spins: int
) -> None:
    code = "from glassformer.cli import main; main(['--version']); import torch"
    kept = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env=kept | {"OMP_DISPLAY_ENV": "verbose"} | chosen,
    )
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr


def test_a_command_does_not_look_for_cycles_at_its_end() -> None:
    code = (
        "import atexit, gc, sys; from glassformer.cli import main\n"
        "atexit.register(lambda: print('frozen', gc.get_freeze_count() > 1000))\n"
        "usual, sys.argv = gc.get_threshold(), ['glassformer', '--version']; main()\n"
        "assert gc.get_threshold() > usual\n"
    )
    done = python(code)
    assert done.stdout.endswith("frozen True\n")


@pytest.mark.parametrize(
    "command",
    ["--help", "train --help", "train imdb --help", "train parity --help", "train text --help",
     "train imdb --model.name recurrent --help", "pretrain --help", "pretrain imdb --help",
     "pretrain text --help", "evaluate --help", "predict --help", "tasks"],
)  # fmt: skip
def test_help_needs_no_torch(command: str) -> None:
    """The promise is half a second of CPU time. What would break it is an import: that is asserted."""
    code = (
        "import sys; from glassformer.cli import main\n"
        f"try: main({command.split()!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'lightning', 'sklearn', 'scipy', 'pyarrow', 'numpy', 'tokenizers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = python(code)
    assert len(done.stdout) > 40


@pytest.mark.parametrize(
    "command",
    ["predict nowhere a.png", "evaluate nowhere", "evaluate .. --data.test nowhere",
     "explain nowhere a.png", "export nowhere --format hub",
     "train images --data.train nowhere", "train text --data.train .. --data.test nowhere",
     "train text --data.train .. --data.validation nowhere", "pretrain text --data.train nowhere",
     "compare images --data.train nowhere --vary model.layers=1,2", "tune text --data.train nowhere",
     "train --resume nowhere", "report nowhere"],
)  # fmt: skip
def test_a_wrong_path_is_told_before_torch_is_loaded(command: str) -> None:
    code = (
        "import sys; from glassformer.cli import main\n"
        f"assert main({command.split()!r}) == 2\n"
        "assert not {'torch', 'lightning', 'sklearn', 'pyarrow'} & set(sys.modules)"
    )
    done = python(code)
    assert "nowhere" in done.stderr


def test_data_of_no_use_are_told_before_torch_is_loaded(tmp_path: Path) -> None:
    pets = image_folder(tmp_path / "pets", {"cat": 3})
    whole = image_folder(tmp_path / "whole", {"a": 3, "b": 3})
    single = image_folder(tmp_path / "single", {"a": 3, "b": 1})
    double = image_folder(tmp_path / "double", {"a": 3, "b": 2})
    empty = image_folder(tmp_path / "empty", {"cat": 3, "dog": 0})
    table = write_csv(tmp_path / "table.csv", [("a.png", "x"), ("b.png", "y")], ("file", "label"))
    header = "image", "label"
    gone = write_csv(tmp_path / "gone.csv", [("a.png", "x"), ("b.png", "y")] * 3, header)
    there = tmp_path / "whole" / "a" / "0.png"
    blank, long = (
        write_csv(tmp_path / name, [(there, "x"), (bad, "x"), (there, "x"), *[(there, "y")] * 3], header)
        for name, bad in (("blank.csv", " "), ("long.csv", "x" * 300))
    )
    texts = write_csv(tmp_path / "texts.csv", [("a", "x"), ("b", "y")] * 3)
    alike = write_csv(tmp_path / "alike.csv", [("a", "x"), ("b", "x")])
    no_rows = write_csv(tmp_path / "no_rows.csv", [])
    pairs = write_csv(tmp_path / "pairs.csv", [("a", "x"), ("b", "y")] * 3, ("source", "target"))
    few = write_csv(tmp_path / "few.csv", [("a", "x")], ("source", "target"))
    half = write_csv(tmp_path / "half.csv", [("a", "x"), ("b", "")], ("source", "target"))
    numbers = tmp_path / "numbers.parquet"
    columns = {"image": [1, 2], "text": [b"a", b"b"], "label": ["x", "y"], "source": [["a"], ["b"]]}
    pa.parquet.write_table(pa.table(columns | {"target": ["x", "y"]}), numbers)
    lacks, unlike, skip = "has no column", "training does not", ", or leave bad images out with --skip-bad"
    wrong = {
        f"train images --data.train {pets}": "has one class only ('cat')",
        f"train images --data.train {empty}": "holds no images",
        f"train images --data.train {whole} --data.test {pets}": unlike,
        f"train images --data.train {whole} --data.validation {pets}": unlike,
        f"train images --data.train {whole} --data.label kind": "leave them out",
        f"train images --data.train {single}": "the class 'b' has 1 example left",
        f"train images --data.train {double}": "the class 'b' has 1 example left",
        f"train images --data.train {blank}": f"row 2 has no image; replace or delete it{skip}",
        f"train images --data.train {long}":
            f"(row 2 of long.csv) cannot be read (File name too long); replace or delete it{skip}",
        f"train images --data.train {gone}": "a.png (row 1 of gone.csv); correct the path" + skip,
        f"train images --data.train {whole} --data.test {gone}": "has the label 'x', which training does not",
        f"train images --data.train {table}": f"{lacks} 'image'",
        f"train images --data.train {numbers}": "holds int64, no images",
        f"compare images --data.train {table} --data.image file --data.label lable --vary model.layers=1,2":
            f"{lacks} 'lable'",
        f"compare images --data.train {whole} --vary model.patch=8,7": "patch=7 does not divide",
        f"compare text --data.train {texts} --vary data.label=label,lable": f"{lacks} 'lable'",
        f"tune images --data.train {whole} --model.patch 7": "patch=7 does not divide",
        f"show images --data.train {empty}": "holds no images",
        f"train text --data.train {table}": f"{lacks} 'text'",
        f"train text --data.train {alike}": "has one class only ('x')",
        f"train text --data.train {no_rows}": "has no rows",
        f"train text --data.train {texts} --data.test {alike} --run-dir {alike}/run":
            "alike.csv is no folder",
        f"train text --data.train {texts} --data.test {table}": f"{lacks} 'text'",
        f"train text --data.train {texts} --data.label lable": f"{lacks} 'lable'",
        f"train text --data.train {numbers}": "holds binary, no words",
        f"train pairs --data.train {table} --data.source file": f"{lacks} 'target'",
        f"train pairs --data.train {pairs} --data.test {table}": f"{lacks} 'source'",
        f"train pairs --data.train {half}": "row 2 has no 'target'",
        f"train pairs --data.train {few}": "too few rows to hold out a test split",
        f"train pairs --data.train {numbers}": "holds list<element: string>, no words",
        f"pretrain text --data.train {texts} --data.validation {table}": f"{lacks} 'text'",
        f"pretrain text --data.train {texts} --data.label lable": f"{lacks} 'lable'",
        f"show images --data.train {whole} --out page.xyz": "page.xyz ends in '.xyz'",
        "train text": "train text needs a file to learn from; give --data.train FILE",
        "train pairs": "train pairs needs a file to learn from",
        "pretrain text": "pretrain text needs a file to learn from",
        "train images": "train images needs images to learn from; give --data.train FOLDER or FILE",
    }  # fmt: skip
    done = python(
        "import sys; from glassformer.cli import main\n"
        f"for command in {list(wrong)!r}: assert main(command.split()) in (1, 2)\n"
        "assert not {'torch', 'lightning', 'sklearn'} & set(sys.modules)"
    )
    for said, why in zip(done.stderr.splitlines(), wrong.values(), strict=True):
        assert why in said


@pytest.mark.parametrize("name", ["imdb", "parity", "text"])
@pytest.mark.parametrize("model", ["transformer", "recurrent"])
def test_help_explains_every_option_with_its_default(name: str, model: str, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["train", name, "--model.name", model, "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").replace("|", " ").split())
    config = find_task(name).preset(None, model)
    options = {"--seed", "--device", "--precision", "--threads", "--data-dir", "--baselines"}
    for part in ("model", "data", "optim", "fit"):
        for field in fields(getattr(config, part)):
            if field.name not in FACTS:
                options.add(f"--{part}.{field.name.replace('_', '-')}")
    assert not {option for option in options if f"{option} " not in text and f"{option}, " not in text}
    assert text.count("(default:") >= len(options)
    assert "--run-dir" in text
    assert "--config" in text
    assert not [fact for fact in FACTS if f"--model.{fact.replace('_', '-')} " in text]


def test_no_help_gives_python_for_a_default(capsys) -> None:
    commands = [
        *(name for name in COMMANDS if name not in ("tasks", "exercise")),
        *(f"{command} {task}" for command in ("train", "compare", "tune", "show", "diagram")
          for task in TASKS),
        "pretrain text", "smallest parity", "exercise new", "exercise check",
    ]  # fmt: skip
    for command in commands:
        with contextlib.suppress(SystemExit):
            main([*command.split(), "--help"])
        said = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert said
        for word in ("{None}", "(default: None)", "(default: '')"):
            assert word not in said, command

    with pytest.raises(SystemExit):
        parse(UserTextData, "mine", ["--help"], default=UserTextData(train="mine.csv"))
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "(default: mine.csv)" in said
    assert "(required)" not in said
    assert "(default: rows held out of train)" in said


def test_version_and_python_m() -> None:
    done = glassformer("--version")
    assert (done.returncode, done.stdout.strip()) == (0, "0.1.0")


# --- precedence -------------------------------------------------------------------------------------------


def test_flags_beat_files_and_later_files_earlier_ones(tmp_path: Path) -> None:
    import yaml

    (tmp_path / "one.yaml").write_text("seed: 1\nmodel: {layers: 3, d_ff: 20}\nbaselines: false\n")
    (tmp_path / "two.yaml").write_text("seed: 2\nmodel: {layers: 4}\n")
    folder = tmp_path / "run"
    command = f"{PARITY} --config {tmp_path / 'one.yaml'} --config {tmp_path / 'two.yaml'} --model.layers 1"
    assert main([*command.split(), "--run-dir", str(folder)]) == 0
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["seed"], config["model"]["layers"], config["model"]["d_ff"]) == (2, 1, 20)
    assert config["baselines"] is False
    assert config["model"]["d_model"] == 32  # the preset's

    # a run's own configuration repeats it
    again = tmp_path / "again"
    assert main(["train", "parity", "--config", str(folder / "config.yaml"), "--run-dir", str(again)]) == 0
    assert yaml.safe_load((again / "config.yaml").read_text()) == config
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_what_an_older_run_does_not_name_stays_out_when_it_is_repeated(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    for beginning, scale in (("", 0.75), ("schema_version: 2\ntask: cifar10\n", 1.0)):
        file.write_text(beginning + "data: {crop: 2}\nfit: {epochs: 14}\n")
        config = config_of(task_options(TaskOptions, "train", "cifar10", ["--config", str(file)]))
        assert (config.data.early_scale, config.data.crop, config.fit.epochs) == (scale, 2, 14)


def test_a_slip_in_a_file_is_answered_like_one_on_the_command_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "a.yaml").write_text("model: {layer: 3}\n")
    answer = refused(f"train parity --config {tmp_path / 'a.yaml'}", 2, capsys)
    assert "Unrecognized options: --model.layer" in answer
    assert "perhaps you meant --model.layers" in answer


@pytest.mark.parametrize(
    "content", ["a: [", "- 1\n", "", "task: imdb\n", "!!python/object/apply:os.getcwd []"]
)
def test_a_bad_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(UsageError, match="--config"):
        options_in(str(tmp_path / "a.yaml"), "parity")


def test_a_mapping_becomes_flags() -> None:
    mapping = {
        "seed": 3,
        "model": {"d_ff": 7},
        "optim": {"betas": [0.9, 0.99]},
        "baselines": False,
        "data_dir": None,
    }
    assert flags_of_mapping(mapping) == [
        "--seed", "3", "--model.d-ff", "7", "--optim.betas", "0.9", "0.99", "--no-baselines",
        "--data-dir", "None",
    ]  # fmt: skip


def test_predict_reads_standard_input(tmp_path: Path) -> None:
    assert main([*PARITY.split(), "--run-dir", str(tmp_path / "run")]) == 0
    done = glassformer("predict", tmp_path / "run", "-", "--json", input="010101\n111000\n\n")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    nothing = glassformer("predict", tmp_path / "run", "-", input="")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)


# --- a run's own configuration ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TASKS, *PRETRAINING])
def test_a_runs_config_is_a_config_file(name: str, tmp_path: Path) -> None:
    """Also where it has facts of the data, which no option sets."""
    start = find_task(name).preset(None, None, "cpu")
    known = {fact: 3 for fact in ("vocab", "classes", "max_tokens") if hasattr(start.model, fact)}
    write_config(tmp_path, name, replace(start, model=replace(start.model, **known)), ["a", "b"])
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())["model"]
    assert known.items() <= written.items()
    words = ["--config", str(tmp_path / "config.yaml")]
    assert config_of(task_options(TrainOptions, "train", name, words)) == start


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.EACCES, "or a place that you may write"),
        (errno.EROFS, "or a place that you may write"),
        (errno.ENOSPC, "make room"),
        (errno.ENOENT, ""),
    ],
)
def test_what_the_system_refuses_has_a_way_out_where_it_is_plain(
    number: int, way_out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuses(words: object) -> int:
        raise OSError(number, os.strerror(number), "there")

    monkeypatch.setattr("glassformer.cli.run", refuses)
    assert main(["train"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"glassformer: {os.strerror(number)} (there)")
    assert said.count("\n") == 1
    assert way_out in said
