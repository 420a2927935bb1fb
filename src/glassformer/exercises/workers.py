"""Processes that mark submissions: one for each core, since comparing takes more time than the code compared.

The code under check runs in processes of its own beneath these. One that dies or hangs costs a submission.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from queue import Queue
from typing import Any

from glassformer.exercises.marking import Mark, Marks, mark
from glassformer.exercises.sheets import Sheet, sheet
from glassformer.exercises.submissions import Submission

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from glassformer.exercises.workers import serve; serve()"
)
GRACE_SECONDS = 20.0
"""For comparing and diagnosing each criterion, on top of the seconds of the code."""


class Worker:
    """One process. It answers in lines of JSON, and is started again after it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def mark(self, wanted: Sheet, handed_in: Submission, seconds: float, seed: int) -> Marks:
        request = {
            "sheet": wanted.slug, "seconds": seconds, "seed": seed,
            "name": handed_in.name, "broken": handed_in.broken,
            "files": {path: base64.b64encode(data).decode() for path, data in handed_in.files.items()},
        }  # fmt: skip
        patience = seconds + GRACE_SECONDS * len(wanted.criteria)
        answer = self._ask(json.dumps(request).encode() + b"\n", patience)
        if answer:
            return Marks.of_kept(json.loads(answer))
        told = "the checker itself ended at it; judge it by hand"
        lost = tuple(
            Mark(each.title, 0, each.of, "inconclusive", told, final=False) for each in wanted.criteria
        )
        return Marks(handed_in.name, wanted.slug, lost, seconds)

    def _ask(self, line: bytes, seconds: float) -> bytes:
        if self._process is None and not self._closed:
            self._process = _started()
        process = self._process
        if process is None:
            return b""
        assert process.stdin
        assert process.stdout
        alarm = threading.Timer(seconds, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = b""
        finally:
            alarm.cancel()
        if not answer.endswith(b"\n"):
            self._end()
            return b""
        return answer

    def close(self) -> None:
        self._closed = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                try:
                    stream.close()
                except OSError:
                    continue


class Workers:
    """Several, handed out to whoever has something to mark. A context manager."""

    def __init__(self, count: int) -> None:
        self._all = [Worker() for _ in range(count)]
        self._free: Queue[Worker] = Queue()
        for each in self._all:
            self._free.put(each)

    def mark(self, wanted: Sheet, handed_in: Submission, seconds: float, seed: int) -> Marks:
        worker = self._free.get()
        try:
            return worker.mark(wanted, handed_in, seconds, seed)
        finally:
            self._free.put(worker)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._all:
            each.close()


def _started() -> subprocess.Popen[bytes]:
    # in a session of its own: Ctrl-C is for the process that then ends this one
    return subprocess.Popen(
        [sys.executable, "-P", "-c", BOOT, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=os.name == "posix",
    )


def serve() -> None:
    """The loop of such a process: a line with a submission, a line with its marks, until there are none."""
    import torch

    from glassformer.checking.zygote import started

    torch.set_num_threads(1)
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    with started() as zygote:
        for line in sys.stdin.buffer:
            asked: dict[str, Any] = json.loads(line)
            files = {path: base64.b64decode(data) for path, data in asked["files"].items()}
            marks = mark(
                sheet(asked["sheet"]), Submission(asked["name"], files, asked["broken"]),
                seconds=asked["seconds"], seed=asked["seed"], zygote=zygote,
            )  # fmt: skip
            answers.write(json.dumps(marks.kept()).encode() + b"\n")
            answers.flush()
