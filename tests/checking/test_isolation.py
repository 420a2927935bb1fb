"""The process for the code under check: it answers as a `Runner` does, and all it does ends in plain values.

The folder `hostile` holds code that attacks the checker. A file says in its first line what it tries and in
its second how a check of it may end: `result`, or the kind of a CodeError. `OUTSIDE` in its text becomes a
folder that it may neither change nor read.
"""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glassformer.checking import isolation, limits
from glassformer.checking.exchange import CodeError, Namespace
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.runner import Runner
from glassformer.checking.zygote import FORKS, Zygote, environment

HOSTILE = {path.stem: path for path in sorted((Path(__file__).parent / "hostile").glob("*.py"))}
MULTIHEAD = (Path(__file__).parent / "correct" / "multihead_four_linears.py").read_text(encoding="utf-8")
GENEROUS = 30.0
"""For what should take no time, on a machine that does other things too."""
SHORT = 1.0
ATTENTION = """
import torch

def attention(query, key, value):
    return (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1) @ value
"""
linux = pytest.mark.skipif(not FORKS, reason="the kernel's limits are those of Linux")


@pytest.fixture
def runner(zygote: Zygote | None) -> Iterator[IsolatedRunner]:
    with IsolatedRunner(zygote=zygote, timeout=GENEROUS) as found:
        yield found


def inputs() -> list[np.ndarray]:
    drawn = np.random.default_rng(3)
    return [drawn.standard_normal((2, 4, 8)) for _ in range(3)]


def refused(runner: IsolatedRunner, text: str) -> CodeError:
    with pytest.raises(CodeError) as caught:
        runner.load(textwrap.dedent(text), "refused.py")
    return caught.value


def in_session(leader: int) -> list[int]:
    """Processes of a session that are more than an entry which waits for its parent."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[3]) == leader and words[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(is_plain(each) for each in value)
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(each) for key, each in value.items())
    if type(value) is np.ndarray:
        return value.dtype.kind in "fiub"
    return value is None or type(value) in (bool, int, float, str)


def test_it_answers_as_a_runner_in_this_process_does(runner: IsolatedRunner) -> None:
    here = Runner()
    offers = runner.load(MULTIHEAD, "multihead.py")
    assert offers == here.load(MULTIHEAD, "multihead.py")
    name = offers[-1].name
    built, expected = (each.build(name, [2, 8], {"dropout": 0.0}, seed=5) for each in (runner, here))
    assert built == expected
    values = runner.parameters(built.handle)
    assert all(np.array_equal(values[key], each) for key, each in here.parameters(expected.handle).items())
    ours, theirs = (
        each.call(built.handle, inputs(), parameters=values, gradient=True, seed=1) for each in (runner, here)
    )
    assert np.array_equal(ours.output, theirs.output)
    assert ours.gradients.keys() == theirs.gradients.keys()
    assert all(np.array_equal(each, theirs.gradients[key]) for key, each in ours.gradients.items())


def test_arrays_of_an_object_are_read_and_set(runner: IsolatedRunner) -> None:
    text = (
        "import numpy as np\n\n\nclass Net:\n"
        "    def __init__(self):\n"
        "        self.W, self.rate, self.grads = np.ones((2, 3)), 0.1, {'b': np.zeros(3), 'n': 4}\n\n"
        "    def total(self):\n"
        "        return self.W.sum() + self.grads['b'].sum()\n"
    )
    for each in (runner, Runner()):
        each.load(text, "net.py")
        handle = each.build("Net").handle
        assert {name: values.shape for name, values in each.arrays(handle).items()} == {
            "W": (2, 3),
            "grads.b": (3,),
        }
        each.assign(handle, {"W": np.full((2, 3), 2.0), "grads.b": np.ones(3)})
        assert each.call(handle, [], method="total").output == 15.0


def test_a_function_named_build_that_needs_something_is_no_factory(runner: IsolatedRunner) -> None:
    runner.load("def build_mask(n):\n    return n + 1\n\n\ndef build():\n    return build_mask\n", "b.py")
    for name in ("build_mask", "build"):
        assert runner.call(runner.build(name).handle, [2]).output == 3


def test_arguments_of_every_kind_arrive(runner: IsolatedRunner) -> None:
    runner.load(
        "def tell(*given, **named):\n"
        "    kinds = [type(each).__name__ for each in (*given, *named.values())]\n"
        "    return [*kinds, named['c'].d_model]\n",
        "tell.py",
    )
    given = [None, True, 3, 2.5, "x", [1, 2], (1, 2), np.ones(2), np.array([True])]
    result = runner.call(runner.build("tell").handle, given, {"c": Namespace({"d_model": 4})})
    kinds = ["NoneType", "bool", "int", "float", "str", "list", "tuple", "Tensor", "Tensor"]
    assert result.output == [*kinds, "Record", 4]


def test_an_error_of_the_code_has_its_line_and_the_process_lives_on(runner: IsolatedRunner) -> None:
    runner.load("def attention(x):\n    y = x + 1\n    raise ValueError('no')\n", "raising.py")
    handle = runner.build("attention").handle
    for _ in range(2):
        with pytest.raises(CodeError, match="ValueError: no") as caught:
            runner.call(handle, [1])
        assert caught.value.line == 3
    assert refused(runner, "x = (").kind == "SyntaxError"


def test_what_is_no_plain_value_is_refused_on_this_side(runner: IsolatedRunner) -> None:
    runner.load(ATTENTION, "attention.py")
    with pytest.raises(ValueError, match="no plain value"):
        runner.call(runner.build("attention").handle, [object()])
    with pytest.raises(ValueError, match="another one"):
        runner.load_object(Runner)
    assert runner.load(ATTENTION, "attention.py")


def test_an_unknown_name_is_an_error_of_the_code(runner: IsolatedRunner) -> None:
    runner.load(ATTENTION, "attention.py")
    with pytest.raises(CodeError):
        runner.build("Missing")
    assert runner.build("attention").handle == 0


def test_printed(runner: IsolatedRunner) -> None:
    runner.load("import sys\nprint('seen')\nprint('this too', file=sys.stderr)\n", "printing.py")
    assert sorted(runner.printed.splitlines()) == ["seen", "this too"]
    runner.load("print('\\x1b[2Jcleared')\nprint('é')", "printing.py")
    assert "\x1b" not in runner.printed
    assert runner.printed.endswith("é\n")
    runner.load("print('x' * 1_000_000)", "printing.py")
    assert len(runner.printed) < 2 * isolation.PRINTED
    assert "bytes more" in runner.printed


def test_what_was_printed_before_the_end_is_kept(runner: IsolatedRunner) -> None:
    refused(runner, "import os\nprint('last words')\nos._exit(3)")
    assert runner.printed == "last words\n"


def test_after_its_end_every_call_says_so_until_a_restart(runner: IsolatedRunner) -> None:
    first = refused(runner, "import os\nos._exit(3)")
    assert (first.kind, first.message) == ("Exit", "it ended its own process, with status 3")
    again = refused(runner, ATTENTION)
    assert (again.kind, again.message) == (first.kind, first.message)
    runner.restart()
    assert [each.name for each in runner.load(ATTENTION, "attention.py")] == ["attention"]


def test_a_call_has_a_time(zygote: Zygote | None) -> None:
    with IsolatedRunner(zygote=zygote, timeout=0.3) as runner:
        before = time.monotonic()
        error = refused(runner, "while True: pass")
        assert time.monotonic() - before < GENEROUS
        assert (error.kind, error.message) == ("TimeLimit", "it did not answer within 0.3 seconds")


def test_all_calls_have_a_budget_which_a_restart_does_not_refill(zygote: Zygote | None) -> None:
    with IsolatedRunner(zygote=zygote, timeout=GENEROUS, budget=0.5) as runner:
        assert refused(runner, "import time\ntime.sleep(1e8)").kind == "TimeLimit"
        runner.restart()
        error = refused(runner, ATTENTION)
        assert error.kind == "TimeLimit"
        assert "all calls together" in error.message


@linux
def test_processor_time_has_a_limit_of_its_own(zygote: Zygote) -> None:
    with IsolatedRunner(zygote=zygote, timeout=GENEROUS, budget=GENEROUS) as runner:
        runner.seconds = GENEROUS - 0.5  # of which the process is told, and this side is not
        runner.restart()
        runner.seconds = 0.0
        assert refused(runner, "while True: pass").kind == "TimeLimit"


def test_memory_has_a_limit_and_the_process_lives_on(runner: IsolatedRunner) -> None:
    if not runner.protections["memory"]:
        pytest.skip("this system does not limit memory")
    assert refused(runner, "x = bytearray(50 * 2**30)").kind == "MemoryLimit"
    assert refused(runner, "import torch\nx = torch.ones(10**11)").kind == "MemoryLimit"
    assert "2048 MiB" in refused(runner, "import numpy as np\nx = np.ones(10**11)").message
    assert runner.load(ATTENTION, "attention.py")


def test_a_module_of_a_given_folder(tmp_path: Path, zygote: Zygote | None) -> None:
    package = tmp_path / "homework"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mine.py").write_text(ATTENTION)
    with IsolatedRunner(zygote=zygote, timeout=GENEROUS, paths=[tmp_path]) as runner:
        assert "attention" in [each.name for each in runner.load_module("homework.mine")]
        result = runner.call(runner.build("attention").handle, inputs())
        assert result.output.shape == (2, 4, 8)
    with (
        IsolatedRunner(zygote=zygote, timeout=GENEROUS) as runner,
        pytest.raises(CodeError, match="No module named"),
    ):
        runner.load_module("homework.mine")
    assert sorted(each.name for each in package.iterdir()) == ["__init__.py", "mine.py"]


def test_the_folder_is_the_home_and_is_removed(runner: IsolatedRunner) -> None:
    runner.load(
        "import os, pathlib\n"
        "pathlib.Path('note').write_text('x')\n"
        "def attention():\n"
        "    return [os.getcwd(), os.path.expanduser('~'), sorted(os.listdir())]\n",
        "folder.py",
    )
    folder, home, names = runner.call(runner.build("attention").handle, []).output
    assert folder == home
    assert names == ["note"]
    runner.close()
    assert not Path(folder).exists()


def test_no_secret_of_the_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert "HF_TOKEN" not in environment()
    with IsolatedRunner(timeout=GENEROUS) as runner:
        runner.load("import os\ndef attention():\n    return dict(os.environ)\n", "environment.py")
        assert "secret" not in runner.call(runner.build("attention").handle, []).output.values()


def modules_after(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_a_worker_imports_nothing_heavy() -> None:
    """Every start would wait for it."""
    found = modules_after("from glassformer.checking import worker, zygote")
    needed = ("exchange", "limits", "plain", "runner", "usage", "wire", "worker", "zygote")
    assert {each for each in found if each.startswith("glassformer.checking.")} == {
        f"glassformer.checking.{each}" for each in needed
    }
    assert {each for each in found if each.startswith("glassformer.")} <= {
        "glassformer.checking", *(f"glassformer.checking.{each}" for each in needed)
    }  # fmt: skip
    assert not {"matplotlib", "scipy", "sklearn", "lightning", "transformers", "rich", "tyro"} & found


def test_a_zygote_can_be_started_before_torch_is_imported_here() -> None:
    assert "torch" not in modules_after("from glassformer.checking.zygote import Zygote")


def test_a_new_interpreter_where_there_is_no_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "FORKS", False)
    with IsolatedRunner(timeout=GENEROUS) as runner:
        runner.load("print('here')\n" + ATTENTION, "attention.py")
        assert runner.call(runner.build("attention").handle, inputs()).output.shape == (2, 4, 8)
        assert runner.printed == "here\n"
        assert refused(runner, "import os\nos._exit(4)").message.endswith("status 4")


@linux
def test_runners_share_a_zygote_between_threads(zygote: Zygote) -> None:
    shapes: list[tuple[int, ...]] = []

    def work() -> None:
        with IsolatedRunner(zygote=zygote, timeout=GENEROUS) as runner:
            runner.load(ATTENTION, "attention.py")
            shapes.append(runner.call(runner.build("attention").handle, inputs()).output.shape)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert shapes == [(2, 4, 8)] * 6


@linux
def test_one_submission_leaves_nothing_to_the_next(zygote: Zygote) -> None:
    for _ in range(2):
        with IsolatedRunner(zygote=zygote, timeout=GENEROUS) as runner:
            runner.load(
                "import torch\nassert not hasattr(torch, 'left')\ntorch.left = 1\n" + ATTENTION, "leaving.py"
            )


@linux
def test_a_zygote_that_has_died_is_told(zygote: Zygote) -> None:
    own = Zygote()
    with IsolatedRunner(zygote=own, timeout=GENEROUS) as runner:
        assert runner._worker
        pid = runner._worker.process.pid
        own.close()
        assert refused(runner, ATTENTION).kind in ("Killed", "Protocol")
        with pytest.raises(OSError, match=r"."):
            runner.restart()
    until = time.monotonic() + GENEROUS
    while in_session(pid) and time.monotonic() < until:
        time.sleep(0.01)
    assert not in_session(pid)


@linux
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_this_one(tmp_path: Path, end: signal.Signals) -> None:
    script = tmp_path / "checking.py"
    script.write_text(
        "import signal\n"
        "from glassformer.checking.isolation import IsolatedRunner\n"
        # what runs in the background of a shell inherits that Ctrl-C is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with IsolatedRunner(timeout=60) as runner:\n"
        "    print(runner._worker.process.pid, runner._worker.folder, flush=True)\n"
        "    runner.load('while True: pass', 'endless.py')\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        pid, folder = process.stdout.readline().split()
        time.sleep(0.3)
        process.send_signal(end)
        _, said = process.communicate(timeout=GENEROUS)
    finally:
        process.kill()
    until = time.monotonic() + GENEROUS
    while in_session(int(pid)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not in_session(int(pid))
    if end == signal.SIGINT:
        assert "KeyboardInterrupt" in said
        assert not Path(folder).exists()
    elif Path(folder).exists():
        isolation._remove(folder)


@linux
def test_between_calls_its_threads_stand_still(runner: IsolatedRunner) -> None:
    runner.load(
        "import threading\n"
        "count = 0\n"
        "def work():\n"
        "    global count\n"
        "    while True:\n"
        "        count += 1\n"
        "threading.Thread(target=work, daemon=True).start()\n",
        "counting.py",
    )
    assert runner._worker
    entry = Path(f"/proc/{runner._worker.process.pid}/stat")

    def state_and_time() -> tuple[str, ...]:
        words = entry.read_text().rpartition(")")[2].split()
        return words[0], words[11]

    until = time.monotonic() + GENEROUS
    while state_and_time()[0] != "T" and time.monotonic() < until:
        time.sleep(0.01)
    before = state_and_time()
    time.sleep(0.2)
    assert state_and_time() == before


@pytest.mark.parametrize(
    "reply",
    [
        {"number": 1, "value": 5},
        {"number": 2, "value": []},
        {"number": 1},
        {"number": 1, "error": ["Kind", "text"]},
        {"number": 1, "error": ["Kind", 5, 0]},
        {"number": 1, "value": [], "error": ["Kind", "text", 0]},
        {"number": [1], "value": []},
        {"number": 1, "value": ["x"]},
        [],
        None,
    ],
    ids=repr,
)
def test_a_reply_of_another_form_is_an_error_of_the_protocol(zygote: Zygote | None, reply: Any) -> None:
    with IsolatedRunner(zygote=zygote, timeout=GENEROUS) as runner:
        forged = f"""
            from glassformer.checking import wire
            frame = wire.pack({reply!r})
            wire.pack = lambda value: frame
        """
        assert refused(runner, forged).kind == "Protocol"
        assert runner._worker
        assert runner._worker._stopped


@linux
def test_the_limits_take_hold(runner: IsolatedRunner) -> None:
    """On a kernel without Landlock or seccomp the hook is in its place, and hostile code is not tried."""
    both = runner.protections["landlock"] and runner.protections["seccomp"]
    assert runner.protections.pop("audit hook") != both
    assert {key for key, each in runner.protections.items() if not each} <= {"landlock", "seccomp"}


HOOKED = """
import os, pathlib, socket, subprocess, sys
from glassformer.checking import limits

sys.addaudithook(limits.refusals(os.getcwd()))
os.path.realpath = lambda path: os.getcwd()

def refused(work):
    try:
        work()
    except PermissionError:
        return True
    return False

pathlib.Path("note").write_text("x")
open(os.devnull, "w").close()
open(limits.__file__).close()
os.mkdir("folder")
os.rename("note", "folder/note")
os.symlink({outside!r}, "way_out")
for work in (
    lambda: open({outside!r} + "/victim", "a"),
    lambda: open("way_out/victim", "w"),
    lambda: os.open({outside!r} + "/victim", os.O_RDWR),
    lambda: os.unlink({outside!r} + "/victim"),
    lambda: os.rename({outside!r} + "/victim", "moved"),
    lambda: os.link({outside!r} + "/victim", "linked"),
    lambda: os.chmod({outside!r} + "/victim", 0),
    lambda: os.truncate({outside!r} + "/victim", 0),
    lambda: os.mkdir({outside!r} + "/made"),
    lambda: os.mkdir("made", dir_fd=os.open({outside!r}, os.O_RDONLY)),
    lambda: subprocess.run([sys.executable, "-c", "0"]),
    lambda: os.system("true"),
    lambda: os.kill(os.getppid(), 0),
    lambda: socket.socket().connect(("127.0.0.1", 9)),
    os.fork,
    lambda: os.execv(sys.executable, [sys.executable]),
):
    assert refused(work), work.__code__.co_firstlineno
os.unlink("folder/note")
"""


@pytest.mark.skipif(os.name != "posix", reason="it uses what only these systems have")
def test_a_hook_refuses_what_the_kernel_does_not(tmp_path: Path) -> None:
    """In a process that the kernel does not confine."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "victim").write_text("whole")
    done = subprocess.run(
        [sys.executable, "-c", HOOKED.format(outside=str(outside))],
        cwd=inside, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (outside / "victim").read_text() == "whole"
    assert [each.name for each in outside.iterdir()] == ["victim"]


def test_no_two_system_calls_have_one_number() -> None:
    single = (
        limits.CLONE, limits.CLONE3, limits.KILL, limits.TGKILL, limits.PRLIMIT64, limits.PRCTL, limits.IOCTL,
        limits.FCNTL, limits.SECCOMP,
    )  # fmt: skip
    for column in (0, 1):
        numbers = [each[column] for each in (*limits.REFUSED.values(), *single) if each[column] is not None]
        assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("architecture", limits.ARCHITECTURES)
def test_the_filter_jumps_within_itself(architecture: str) -> None:
    program = limits._filter(*limits.ARCHITECTURES[architecture], 1234)
    assert len(program) < 4096  # the kernel takes no more
    for place, step in enumerate(program):
        code, then, otherwise = int.from_bytes(step[:2], sys.byteorder), step[2], step[3]
        if code & 7 == 5:
            assert place + 1 + max(then, otherwise) < len(program)


def test_folders_that_are_hard_to_remove(tmp_path: Path) -> None:
    here, folder = os.getcwd(), tmp_path / "deep"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    try:
        os.chdir(folder)
        for _ in range(1200):
            Path("file").touch()
            os.mkdir("b" * 10)
            os.chdir("b" * 10)
    finally:
        os.chdir(here)
    assert isolation._used(str(folder)) == float("inf")
    isolation._remove(str(folder))
    assert list(tmp_path.iterdir()) == []


def outcome(runner: IsolatedRunner, text: str) -> str:
    try:
        offers = runner.load(text, "hostile.py")
        built = runner.build("attention", seed=1)
        result = runner.call(built.handle, inputs(), gradient=True)
    except CodeError as error:
        kind, told = error.kind, str(error)
        plain = is_plain([error.kind, error.message, error.line])
    else:
        kind, told = "result", ""
        plain = is_plain([result.output, result.gradients, [each.name for each in offers]])
    assert plain
    assert told.replace("\n", "").isprintable()
    return kind


@linux
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_ends_in_plain_values(name: str, tmp_path: Path, zygote: Zygote) -> None:
    text = HOSTILE[name].read_text(encoding="utf-8")
    first, second = text.splitlines()[:2]
    assert first.startswith("# hostile: ")
    ends = second.removeprefix("# ends: ").split(", ")
    victim = tmp_path / "victim"
    victim.write_text("whole")
    before = victim.stat()
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    timeout = SHORT if "TimeLimit" in ends else GENEROUS
    with IsolatedRunner(zygote=zygote, timeout=timeout, budget=GENEROUS, file_bytes=2**22) as runner:
        if not (runner.protections["landlock"] and runner.protections["seccomp"]):
            pytest.skip("this kernel does not hold such code")
        assert runner._worker
        pid, folder = runner._worker.process.pid, runner._worker.folder
        started = time.monotonic()
        ended = outcome(runner, text.replace("OUTSIDE", str(tmp_path)))
        assert ended in ends, f"{ended}\n{runner.printed}"
        assert time.monotonic() - started < 2 * timeout + 2
        assert "\x1b" not in runner.printed
        # whatever came before, the next process is sound
        runner.restart()
        assert runner.load(ATTENTION, "attention.py")[0].name == "attention"
    assert not in_session(pid)
    assert not Path(folder).exists()
    after = victim.stat()
    assert victim.read_text() == "whole"
    assert (after.st_mode, after.st_uid, after.st_mtime) == (before.st_mode, before.st_uid, before.st_mtime)
    assert after.st_nlink == 1
    assert [each.name for each in tmp_path.iterdir()] == ["victim"]
    library = Path(torch.__file__)
    assert not (library.parent / "glassformer_hostile.py").exists()
    assert not library.read_text(encoding="utf-8").endswith("# changed")
    for place in (Path.home(), Path.cwd(), Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/dev/shm")):
        assert not (place / "glassformer-hostile").exists()
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert handlers == [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
