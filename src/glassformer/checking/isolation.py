"""A `Runner` whose code runs in a confined process of its own.

    with IsolatedRunner(timeout=10) as runner:
        offers = runner.load(text, "attention.py")

Whatever that code does to its process, here it ends in plain values or a CodeError. The kinds that it adds:
TimeLimit, MemoryLimit, Exit, Killed, and Protocol for a process whose replies are not replies. A MemoryLimit
may be the answer of a process that lives on; after the others every call raises the same until `restart`.
"""

import contextlib
import math
import os
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np

from glassformer.checking import wire
from glassformer.checking.exchange import Built, CodeError, Offer, Result
from glassformer.checking.worker import CONNECTION_LOST, PRINTED_UNTIL_HERE
from glassformer.checking.zygote import FORKS, STARTING_SECONDS, Ended, Forked, Process, Spawned, Zygote

MIB = 2**20
LOOK_SECONDS = 0.1
"""How often a call in progress is looked at: for Ctrl-C, threads and files."""
THREADS = 64
ENTRIES = 1000
PRINTED = 64 * 1024
MESSAGE = 10_000
GRACE_SECONDS = 1.0


class IsolatedRunner:
    """The methods of `Runner`, each within a time, all within a budget of seconds and of memory.

    memory_bytes: on top of what torch takes. file_bytes: of each file, and four times that for all files that
    the code writes in its own folder. paths: folders that it may import from and read. zygote: forks
    the process; without one a runner on Linux has its own, and elsewhere it starts an interpreter. watched:
    functions and libraries of which `usage` tells whether calls went through them.

    protections: which limits of `limits.confine` took hold.
    """

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        budget: float = 60.0,
        memory_bytes: int = 2 * 1024 * MIB,
        file_bytes: int = 16 * MIB,
        paths: Sequence[str | Path] = (),
        zygote: Zygote | None = None,
        watched: tuple[Sequence[str], Sequence[str]] | None = None,
    ) -> None:
        self._watched = watched
        self.timeout, self.budget = timeout, budget
        self.memory_bytes, self.file_bytes = memory_bytes, file_bytes
        self.paths = [str(Path(each).resolve()) for each in paths]
        self.protections: dict[str, bool] = {}
        self.seconds = 0.0
        """How much of the budget has gone."""
        self._zygote, self._own_zygote = zygote, False
        self._worker: _Worker | None = None
        self._over: CodeError | None = None

    def restart(self) -> None:
        """A fresh process, which knows nothing of what was loaded or built. The budget goes on."""
        self._stop()
        self._over = None
        if self._zygote is None and FORKS:
            self._zygote, self._own_zygote = Zygote(), True
        zygote = self._zygote
        self._worker = _Worker((lambda: Forked(zygote)) if zygote else Spawned)
        settings = {
            "folder": self._worker.folder,
            "paths": self.paths,
            "memory_bytes": self.memory_bytes,
            "cpu_seconds": max(1, math.ceil(self.budget - self.seconds)),
            "file_bytes": self.file_bytes,
            "watched": [list(each) for each in self._watched] if self._watched else None,
        }
        try:
            held = self._exchange(settings, 0, STARTING_SECONDS)
        except CodeError as error:  # none of the code under check has run
            raise RuntimeError(f"no process for the code could be started: {error}\n{self.printed}") from None
        if not wire.fits(held, dict[str, bool]):
            self._fail("Protocol", "it did not say how it is confined")
        self.protections = held

    def close(self) -> None:
        """Ends the process and removes its folder."""
        self._stop()
        if self._own_zygote and self._zygote:
            self._zygote.close()
            self._zygote, self._own_zygote = None, False

    def __enter__(self) -> Self:
        try:
            self.restart()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def printed(self) -> str:
        """What the code has printed since the start of its process, to a limit, safe to be shown."""
        return _shown(self._worker.printed()) if self._worker else ""

    @property
    def stopped_by(self) -> str:
        """The kind of the CodeError after which every call raises the same; empty while it can be called."""
        return self._over.kind if self._over else ""

    def usage(self) -> dict[str, int]:
        """What of `watched` calls went through: name -> line of the file under check."""
        return self._ask(dict[str, int], "usage")

    def load(self, text: str, filename: str) -> list[Offer]:
        """Executes the source of a file; gives what it defines, in the order of its lines."""
        return self._ask(list[Offer], "load", text, filename)

    def load_module(self, name: str) -> list[Offer]:
        """Imports a module by its dotted name; gives its public classes and functions."""
        return self._ask(list[Offer], "load_module", name)

    def load_object(self, found: Any) -> list[Offer]:
        """Refused: an object of this process is in this process."""
        raise ValueError(
            "an object of this process cannot run in another one: name its module, or use Runner"
        )

    def build(
        self,
        name: str,
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Built:
        """Calls the constructor, or a factory, which is a function named build."""
        return self._ask(Built, "build", name, arguments, keywords, seed)

    def parameters(self, handle: int) -> dict[str, np.ndarray]:
        """The values of the parameters as they are."""
        return self._ask(dict[str, np.ndarray], "parameters", handle)

    def arrays(self, handle: int) -> dict[str, np.ndarray]:
        """The NumPy arrays that an instance keeps as attributes."""
        return self._ask(dict[str, np.ndarray], "arrays", handle)

    def assign(self, handle: int, values: Mapping[str, np.ndarray]) -> None:
        """Sets attributes under the names that `arrays` gives them."""
        self._ask(None, "assign", handle, dict(values))

    def call(
        self,
        handle: int,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any] | None = None,
        *,
        parameters: Mapping[str, np.ndarray] | None = None,
        method: str | None = None,
        train: bool = False,
        seed: int = 0,
        dtype: str = "float64",
        gradient: bool = False,
        as_numpy: bool = False,
        steps: bool = False,
        how: str = "",
    ) -> Result:
        """Calls an instance, as `Runner.call` does."""
        return self._ask(
            Result, "call", handle, arguments, keywords, parameters=parameters, method=method, train=train,
            seed=seed, dtype=dtype, gradient=gradient, as_numpy=as_numpy, steps=steps, how=how,
        )  # fmt: skip

    def _ask(self, hint: Any, method: str, /, *arguments: Any, **keywords: Any) -> Any:
        if self._over:
            raise _again(self._over)
        if self._worker is None:
            raise ValueError("the runner was not started: use it in a with statement")
        left = self.budget - self.seconds
        if left <= 0:
            self._fail("TimeLimit", f"all calls together took the {self.budget:g} seconds that they may")
        number = self._worker.next_number()
        request = {"number": number, "method": method, "arguments": list(arguments), "keywords": keywords}
        before = time.monotonic()
        try:
            value = self._exchange(request, number, min(self.timeout, left))
        finally:
            self.seconds += time.monotonic() - before
        if not wire.fits(value, hint):
            self._fail("Protocol", f"its answer to {method} is of another type")
        return value

    def _exchange(self, request: Any, number: int, seconds: float) -> Any:
        """Sends a frame, waits for its reply, and judges everything that may come instead."""
        assert self._worker
        frame = wire.pack(request)
        try:
            reply = self._worker.exchange(frame, seconds, self._overdrawn)
        except TimeoutError:
            self._fail("TimeLimit", f"it did not answer within {seconds:.3g} seconds")
        except wire.WireError as error:
            self._fail("Protocol", f"what it sent is no reply: {error}")
        except (EOFError, OSError):
            self._fail(*self._how_it_ended())
        except CodeError:  # of `_overdrawn`
            raise
        except BaseException:  # Ctrl-C
            self._stop()
            raise
        if type(reply) is not dict or reply.get("number") != number or len(reply) != 2:
            self._fail("Protocol", "its reply is not to what it was asked")
        if "value" in reply:
            return reply["value"]
        error = reply.get("error")
        if not (type(error) is list and [type(each) for each in error] == [str, str, int]):
            self._fail("Protocol", "its reply has neither a value nor an error")
        raise self._code_error(*error)

    def _code_error(self, kind: str, message: str, line: int) -> CodeError:
        # torch says it in a RuntimeError, NumPy in a class of its own
        torch_said = kind == "RuntimeError" and ("allocate memory" in message or "enough memory" in message)
        if torch_said or kind in ("MemoryError", "_ArrayMemoryError"):
            return CodeError("MemoryLimit", self._memory_told(), line)
        return CodeError(_shown(kind, 200), _shown(message, MESSAGE), line)

    def _memory_told(self) -> str:
        return f"it asked for more than the {self.memory_bytes // MIB} MiB of memory that it may have"

    def _overdrawn(self) -> None:
        """Looks at what no limit of the process itself counts."""
        assert self._worker
        if self._worker.threads() > THREADS:
            self._fail("Killed", f"it started more than {THREADS} threads")
        if _used(self._worker.folder) > 4 * self.file_bytes:
            self._fail("Killed", f"it wrote more than {ENTRIES} files, or {4 * self.file_bytes // MIB} MiB")

    def _how_it_ended(self) -> tuple[str, str]:
        assert self._worker
        ended = self._worker.wait(GRACE_SECONDS)
        if ended is None or ended.code == CONNECTION_LOST:
            return "Protocol", "it closed its connection to the checker"
        if ended.code >= 0:
            return "Exit", f"it ended its own process, with status {ended.code}"
        # of these the process may die when memory is refused to it, and of others when its time has run out
        name = signal.Signals(-ended.code).name if -ended.code in set(signal.Signals) else str(-ended.code)
        if name == "SIGXCPU" or (name == "SIGKILL" and ended.cpu_seconds > self.budget - 1):
            return "TimeLimit", f"it computed for more than the {self.budget:g} seconds that it may"
        if name in ("SIGABRT", "SIGSEGV", "SIGBUS") and ended.peak > 0.8 * self.memory_bytes:
            return "MemoryLimit", self._memory_told()
        if name in ("SIGSEGV", "SIGBUS"):
            return (
                "Killed",
                f"it died of {name}: it touched memory that is not its own, or recursed without end",
            )
        return "Killed", f"its process died of {name}"

    def _fail(self, kind: str, message: str) -> NoReturn:
        self._over = CodeError(kind, message)
        if self._worker:
            self._worker.stop()  # what it printed may still be asked for
        raise _again(self._over)

    def _stop(self) -> None:
        if self._worker:
            self._worker.stop()
        self._worker = None
        self._over = self._over or CodeError("Killed", "its process was stopped")


class _Worker:
    """One process, its folder, and the threads that speak with it: a pipe may block, a thread can be left."""

    def __init__(self, start: Callable[[], Process]) -> None:
        self.folder = os.path.realpath(tempfile.mkdtemp(prefix="glassformer-"))
        try:
            self.process = start()
        except BaseException:
            os.rmdir(self.folder)
            raise
        self._number = self._replies = self._marks = 0
        self._printed, self._left_out = bytearray(), 0
        self._news = threading.Condition()
        self._stopped = False
        self._exchanging: threading.Thread | None = None
        self._printing = threading.Thread(target=self._drain, daemon=True)
        self._printing.start()

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def exchange(self, frame: bytes, seconds: float, look: Callable[[], None]) -> Any:
        """The reply to a frame. TimeoutError, EOFError, OSError, WireError, or what `look` raises."""
        until = time.monotonic() + seconds
        outcome: list[Any] = []

        def work() -> None:
            try:
                wire.write(self.process.requests, frame)
                outcome.append(wire.receive(self.process.replies))
            except BaseException as error:
                outcome.append(error)

        thread = self._exchanging = threading.Thread(target=work, daemon=True)
        self._pause(False)
        thread.start()
        while thread.is_alive():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            thread.join(min(left, LOOK_SECONDS))
            if thread.is_alive():
                look()
        self._pause(True)
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        self._replies += 1
        return outcome[0]

    def _pause(self, paused: bool) -> None:
        """Between calls a thread that the code has left behind neither computes nor writes."""
        if os.name == "posix":
            self.process.signal(signal.SIGSTOP if paused else signal.SIGCONT)

    def printed(self) -> str:
        with self._news:
            self._news.wait_for(lambda: self._marks >= self._replies or self._stopped, 0.2)
            text = bytes(self._printed).decode("utf-8", "replace")
            return text + (f"\n... and {self._left_out} bytes more" if self._left_out else "")

    def _drain(self) -> None:
        """Empties the pipe however much comes, so that printing never blocks the code."""
        pending = b""
        with contextlib.suppress(OSError):
            while part := os.read(self.process.printed, 2**16):
                *whole, tail = (pending + part).split(PRINTED_UNTIL_HERE)
                begun = _begun(tail, PRINTED_UNTIL_HERE)  # a mark may come in two parts
                pending = tail[len(tail) - begun :]
                text = b"".join((*whole, tail[: len(tail) - begun]))
                with self._news:
                    room = PRINTED - len(self._printed)
                    self._printed += text[:room]
                    self._left_out += len(text[room:])
                    self._marks += len(whole)
                    self._news.notify_all()

    def threads(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("Threads:"):
                    return int(line.split()[1])
        return 0

    def wait(self, seconds: float) -> Ended | None:
        """How it ended, if it does so soon."""
        self._pause(False)
        until = time.monotonic() + seconds
        while True:
            try:
                ended = self.process.ended()
            except OSError:  # the zygote has died, and so has its fork
                return Ended(-signal.SIGTERM)
            if ended or time.monotonic() > until:
                return ended
            time.sleep(0.002)

    def stop(self) -> None:
        """Kills the process and whatever is in its session, takes its end, and leaves nothing."""
        if self._stopped:
            return
        self._stopped = True
        self.process.signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self.wait(10 * GRACE_SECONDS)
        # a thread whose pipe some process still holds stays, and its descriptor with it
        for thread, held in (
            (self._printing, (self.process.printed,)),
            (self._exchanging, (self.process.requests, self.process.replies)),
        ):
            if thread and thread.is_alive():
                thread.join(GRACE_SECONDS)
            if not thread or not thread.is_alive():
                for each in held:
                    os.close(each)
        _remove(self.folder)


def _again(error: CodeError) -> CodeError:
    """A new one each time: an exception that is raised twice collects tracebacks."""
    return CodeError(error.kind, error.message, error.line)


def _begun(text: bytes, mark: bytes) -> int:
    """How many of its last bytes may be the first of a mark."""
    return next((size for size in range(len(mark) - 1, 0, -1) if text.endswith(mark[:size])), 0)


def _shown(text: str, limit: int = 2 * PRINTED) -> str:
    """Without what would move the cursor of a terminal, or colour it."""
    short = text[:limit] + ("..." if len(text) > limit else "")
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in short)


def _used(folder: str) -> float:
    """Bytes of the files beneath a folder; infinite where there are too many, or too deep, to be counted."""
    total = entries = 0
    left = [folder]
    while left:
        try:
            with os.scandir(left.pop()) as found:
                for each in found:
                    entries += 1
                    if entries > ENTRIES:
                        return math.inf
                    if each.is_dir(follow_symlinks=False):
                        left.append(each.path)
                    else:
                        total += each.stat(follow_symlinks=False).st_size
        # it has gone, or is closed to the code too, and so is empty
        except (FileNotFoundError, PermissionError):
            continue
        except OSError:
            return math.inf
    return total


def _remove(folder: str) -> None:
    """Removes what may be built to be hard to remove: folders deeper than a path can say, or closed ones.

    Without recursion: what is in a folder is moved up, again and again, until all lies at the top.
    """
    prefix, number = secrets.token_hex(8), 0
    with contextlib.suppress(OSError):
        while entries := os.listdir(folder):
            for name in entries:
                path = os.path.join(folder, name)
                if os.path.islink(path) or not os.path.isdir(path):
                    os.unlink(path)
                    continue
                os.chmod(path, 0o700)
                for inner in os.listdir(path):
                    number += 1
                    source = os.path.join(path, inner)
                    if os.path.isdir(source) and not os.path.islink(source):
                        os.chmod(source, 0o700)
                    os.rename(source, os.path.join(folder, f"{prefix}-{number}"))
                os.rmdir(path)
        os.rmdir(folder)
