"""The command line: finds the command, and turns what went wrong into one line and an exit status."""

import atexit
import errno
import gc
import importlib
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import refuse
from glassformer.errors import DataError, UsageError, nearest

ELSEWHERE = "; choose a file that you may read, or a place that you may write"
WAYS_OUT = {
    errno.EACCES: ELSEWHERE, errno.EPERM: ELSEWHERE, errno.EROFS: ELSEWHERE,
    errno.ENOSPC: "; the disk is full: make room, then start the same command again",
}  # fmt: skip
"""Of errors whose cause is plain. Of a file that is missing it is not: it may be one to read."""
SPINS = "1000"
"""Looks of a thread at whether the others are done, before it sleeps; GNU OpenMP's own default is 300,000."""
TOO_MUCH = re.compile(r"[Tt]ried to allocate ([\d.]+) (bytes|[KMGT]iB)")
"""What PyTorch says where memory is short, on a processor and on a GPU."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0, 2 for what the user typed, 1 for what failed."""
    words = list(sys.argv[1:] if argv is None else argv)
    share_cores()
    if argv is None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    if argv is None:
        collect_seldom()
    if argv is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a pipe that cannot write a sign gets its code
    try:
        status = run(words)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return refuse(error, 2)
    except DataError as error:
        return refuse(error, 1)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return refuse(f"{error.strerror or error}{where}{WAYS_OUT.get(error.errno or 0, '')}", 1)
    except KeyboardInterrupt:
        return refuse("stopped", 130)
    except Exception as error:
        if os.environ.get("GLASSFORMER_TRACEBACK"):
            raise
        reason = " ".join(str(error).split()) or "no reason given"
        if asked := TOO_MUCH.search(reason):
            size = f"{int(asked[1]) / 2**30:,.0f} GiB" if asked[2] == "bytes" else f"{asked[1]} {asked[2]}"
            return refuse(
                f"there is no memory for {size} more; choose a smaller model, a smaller --fit.batch-size, "
                "or shorter inputs",
                1,
            )
        return refuse(f"{type(error).__name__}: {reason} (set GLASSFORMER_TRACEBACK=1 to see where)", 1)


def run(words: list[str]) -> int:
    """Finds the command and calls it."""
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(version("glassformer"))
        return 0
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        raise UsageError(f"there is no command {command!r}; {nearest(command, list(COMMANDS))}")
    return importlib.import_module(f"glassformer.commands.{command.replace('-', '_')}").run(rest)


def share_cores() -> None:
    """Lets PyTorch's threads sleep soon where they wait for one another; to be called before it is loaded.

    A thread that spins holds the core that the thread it waits for may need: beside another process on two
    cores, small training steps took 2 to 40 times as long; on idle ones about as long (benchmarks/README.md).
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = SPINS


def collect_seldom() -> None:
    """Has Python look for unused cycles of objects less often, and not once more before it ends.

    The modules of a training hold 440,000 objects, which stay; to look through them again and again took a
    sixth of the time of a command that only starts and ends (benchmarks/README.md).
    """
    gc.set_threshold(5_000, 10, 10)
    atexit.register(gc.freeze)


def _interrupt(number: int, frame: Any) -> None:
    """The request to end is heard as Ctrl-C is, so that what is half-written goes."""
    raise KeyboardInterrupt


def _overview() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return (
        "usage: glassformer COMMAND [options]\n\n"
        "Transformers with nothing hidden: written from scratch, proven equal to the native layers,\n"
        f"trained and compared on real tasks.\n\n{commands}\n\n"
        "glassformer COMMAND --help explains every option; glassformer --version tells the version."
    )


if __name__ == "__main__":
    sys.exit(main())
