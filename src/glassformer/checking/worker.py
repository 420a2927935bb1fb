"""The process that runs the code under check: it confines itself, then answers questions about that code.

Started by `isolation`, which speaks `wire` over two descriptors. What the code prints goes elsewhere: before
anything of it runs, standard output and standard error are one pipe that the parent empties, and standard
input is empty. Only torch, NumPy and the runner are imported, so that a start is quick.
"""

import contextlib
import os
import sys
from io import TextIOWrapper
from typing import Any, NoReturn

from glassformer.checking import wire
from glassformer.checking.exchange import CodeError
from glassformer.checking.limits import confine
from glassformer.checking.runner import Runner, quiet_torch

METHODS = ("load", "load_module", "build", "parameters", "arrays", "assign", "call", "usage")
PRINTED_UNTIL_HERE = b"\x00glassformer\x00"
"""Written after what a call printed, so that the parent knows when it has all of it."""
CONNECTION_LOST = 70
"""The exit status of a worker that could not read or write: its code has closed the descriptors."""


def main() -> NoReturn:
    """The process was started for one piece of code: its standard streams are the pipes."""
    reading, writing = os.dup(0), os.dup(1)
    serve(reading, writing, 2)


def serve(reading: int, writing: int, printing: int) -> NoReturn:
    """Takes the first frame, which says how to be confined; then one request after another, until the end.

    Leaves by `os._exit`: no `atexit`, no destructor of the code under check runs.
    """
    _redirect(printing)
    settings = wire.receive(reading)
    held = _settle(settings)
    _flush()
    wire.write(writing, wire.pack({"number": 0, "value": held}))
    runner = Runner()
    if settings["watched"]:
        runner.watch(*settings["watched"])
    status = CONNECTION_LOST
    # nothing that is raised here is an answer: the code under check has broken the connection
    with contextlib.suppress(BaseException):
        try:
            while True:
                frame = _answer(runner, wire.receive(reading))
                _flush()
                wire.write(writing, frame)
        except EOFError:
            status = 0
    os._exit(status)


def _redirect(printing: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, onto in ((nothing, 0), (printing, 1), (printing, 2)):
        os.dup2(descriptor, onto)
    for descriptor in {nothing, printing} - {0, 1, 2}:
        os.close(descriptor)
    sys.stdout = sys.__stdout__ = _stream(1)
    sys.stderr = sys.__stderr__ = _stream(2)


def _stream(descriptor: int) -> TextIOWrapper:
    """By lines, so that what was printed before the process was killed has arrived."""
    return open(descriptor, "w", 1, "utf-8", "backslashreplace", closefd=False)


def _settle(settings: dict[str, Any]) -> dict[str, bool]:
    folder = settings["folder"]
    os.chdir(folder)
    os.environ.update(
        dict.fromkeys(("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "MPLCONFIGDIR"), folder)
    )
    sys.path[:0] = settings["paths"]
    sys.argv[:] = [""]
    quiet_torch()
    return confine(
        folder,
        settings["memory_bytes"],
        settings["cpu_seconds"],
        settings["file_bytes"],
        readable=settings["paths"],
    )


def _answer(runner: Runner, request: dict[str, Any]) -> bytes:
    number, method = request["number"], request["method"]
    try:
        if method not in METHODS:
            raise ValueError(method)
        value = getattr(runner, method)(*request["arguments"], **request["keywords"])
        return wire.pack({"number": number, "value": value})
    except wire.WireError as error:
        described = ["Answer", str(error), 0]
    except CodeError as error:
        described = _described(error.kind, error, error.line)
    except BaseException as error:  # raised by the code while it was only looked at
        described = _described(type(error).__name__, error, 0)
    return wire.pack({"number": number, "error": described})


def _described(kind: Any, error: BaseException, line: Any) -> list[Any]:
    """An error may have a `__str__` of its own, which may raise or give a text without end."""
    try:
        text = str(error.message if isinstance(error, CodeError) else error)[:10_000]
    except BaseException:
        text = "(an error whose text cannot be had)"
    return [
        kind[:200] if type(kind) is str else "Exception",
        text,
        line if type(line) is int else 0,
    ]


def _flush() -> None:
    # the code may have closed or replaced any of these
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    with contextlib.suppress(OSError):
        os.write(1, PRINTED_UNTIL_HERE)


if __name__ == "__main__":
    main()
