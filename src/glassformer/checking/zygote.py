"""Processes for the code under check: started anew, or forked from one that has imported torch already.

Importing torch takes a second or more; a fork of a process that did takes milliseconds. The `Zygote` is that
process. Nothing of anybody's code ever runs in it, each fork confines itself before any does, and a fork
lives for one piece of code. Only on Linux: elsewhere the system's own libraries do not survive a fork.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Protocol, Self

FORKS = sys.platform == "linux"
STARTING_SECONDS = 120.0
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from glassformer.checking.{0} import {1}; {1}()"
)
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ended:
    """How a process ended. code: its status, or minus the signal; peak: bytes of memory, 0 if unknown."""

    code: int
    cpu_seconds: float = 0.0
    peak: int = 0


class Process(Protocol):
    """A started worker, and the descriptors towards it. It keeps its pid until `ended` has told its end."""

    requests: int
    replies: int
    printed: int
    pid: int

    def ended(self) -> Ended | None: ...

    def signal(self, number: int) -> None: ...


class Spawned:
    """A new interpreter, which imports torch for itself."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            command("worker", "main"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            bufsize=0,
            start_new_session=os.name == "posix",
        )
        # as plain descriptors, which outlive these file objects and are closed by whoever uses them
        descriptors = []
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream
            descriptors.append(os.dup(stream.fileno()))
            stream.close()
        self.requests, self.replies, self.printed = descriptors
        self.pid = self._process.pid

    def ended(self) -> Ended | None:
        code = self._process.poll()
        return None if code is None else Ended(code)

    def signal(self, number: int) -> None:
        if self._process.returncode is not None:
            return
        if os.name == "posix":
            _signal_group(self.pid, number)
        else:
            self._process.kill()


class Forked:
    """A fork of a zygote. The zygote is its parent and holds its number until it is asked how it ended."""

    def __init__(self, zygote: "Zygote") -> None:
        self._zygote = zygote
        self._ended: Ended | None = None
        reading, self.requests = os.pipe()
        self.replies, writing = os.pipe()
        self.printed, printing = os.pipe()
        theirs = (reading, writing, printing)
        try:
            self.pid = int(zygote.ask(b"fork", theirs)[0])
        except BaseException:
            for descriptor in (self.requests, self.replies, self.printed):
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)

    def ended(self) -> Ended | None:
        if self._ended is None:
            pid, code, cpu, peak = self._zygote.ask(b"ended %d" % self.pid)
            if int(pid):
                self._ended = Ended(int(code), float(cpu), int(peak))
        return self._ended

    def signal(self, number: int) -> None:
        if self._ended is None:
            _signal_group(self.pid, number)


class Zygote:
    """A process that has imported torch and forks workers. A context manager; safe to share between threads.

    It starts beside whatever this process does next, and nothing here imports torch: made early, it costs no
    time. Its forks die with it, and it ends when this process does.
    """

    def __init__(self) -> None:
        if not FORKS:
            raise OSError("only Linux can fork a process that has imported torch")
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*command("zygote", "serve_forks"), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment(),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for this process, which then ends that one
            )
        self._control.settimeout(STARTING_SECONDS)
        self._ready = False

    def ask(self, request: bytes, descriptors: tuple[int, ...] = ()) -> list[bytes]:
        """One question, one answer: its words. The first one waits until torch is imported."""
        with self._lock:
            try:
                if not self._ready and self._control.recv(64) != b"ready":
                    self._process.kill()
                    _, said = self._process.communicate()
                    raise RuntimeError(f"no process for the code: {said.decode(errors='replace')[-2000:]}")
                self._ready = True
                socket.send_fds(self._control, [request], descriptors)
                answer = self._control.recv(256)
            except BaseException:  # Ctrl-C: the next answer would be to this question
                self.close()
                raise
        if not answer or answer.startswith(b"error"):
            raise OSError(f"the zygote cannot {request.decode()}: {answer.decode() or 'it has ended'}")
        return answer.split()

    def close(self) -> None:
        """Ends it, and what it forked."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def started() -> "contextlib.AbstractContextManager[Zygote | None]":
    """A zygote for a `with` statement, where there can be one."""
    return Zygote() if FORKS else contextlib.nullcontext()


def command(module: str, function: str) -> list[str]:
    """Starts a function of this package in a new interpreter.

    The module path is handed over, since the environment is not. Of it, what the libraries need: any other
    folder that is on it would be readable to the code under check.
    """
    roots = {Path(each).resolve() for each in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    for name in ("torch", "numpy", "glassformer"):
        if (found := find_spec(name)) and found.origin:
            roots.add(Path(found.origin).resolve().parents[1])
    kept = [
        each
        for each in sys.path
        if os.path.isabs(each) and any(Path(each).resolve().is_relative_to(root) for root in roots)
    ]
    return [sys.executable, "-P", "-c", BOOT.format(module, function), json.dumps(kept)]


def environment() -> dict[str, str]:
    """What the process needs of the environment, and none of the keys and tokens that are in it."""
    needed = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "WINDIR")
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return {
        **{name: os.environ[name] for name in needed if name in os.environ},
        **dict.fromkeys(threads, "1"),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "CUDA_VISIBLE_DEVICES": "",  # a check needs no GPU, and its driver cannot be confined
    }


def serve_forks() -> NoReturn:
    """The zygote's own loop: forks, and says how forks ended, until the other side closes."""
    import gc

    import torch

    from glassformer.checking import worker

    torch.set_num_threads(1)
    control = socket.socket(fileno=int(sys.argv[2]))
    gc.freeze()  # what is here already is neither copied into a fork by its collector nor listed to its code
    own = os.getpid()
    control.send(b"ready")
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, 256, 3)
        if not request:
            os._exit(0)
        if request == b"fork":
            try:
                pid = os.fork()
            except OSError as error:
                control.send(f"error {error}".encode())
            else:
                if pid == 0:
                    _become_worker(own, control, descriptors, worker.serve)
                control.send(b"%d" % pid)
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            control.send(_end_of(int(request.split()[1])))


def _become_worker(
    zygote: int, control: socket.socket, descriptors: list[int], serve: Callable[[int, int, int], NoReturn]
) -> NoReturn:
    try:
        control.close()
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == zygote:  # it may have died before that took effect
            serve(*descriptors)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(1)


def _end_of(pid: int) -> bytes:
    try:
        found, status, used = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return b"error no such process"
    if not found:
        return b"0 0 0 0"
    code = os.waitstatus_to_exitcode(status)
    return f"{found} {code} {used.ru_utime + used.ru_stime} {used.ru_maxrss * 1024}".encode()


def _signal_group(pid: int, number: int) -> None:
    """To the session that the process leads, and to itself: it may not lead one yet."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(pid, number)
