"""Files that appear whole or not at all, and the folder of those that can be made again."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from glassformer.paths import user_path


def cache_folder() -> Path:
    """GLASSFORMER_CACHE, else the platform's cache folder."""
    if chosen := os.environ.get("GLASSFORMER_CACHE"):
        return user_path(chosen)
    from platformdirs import user_cache_path

    return user_cache_path("glassformer")


def cache_key(*facts: object) -> str:
    """A file name that changes whenever one of the facts does."""
    return hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:24]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` fill a file of a temporary name beside `path`, then renames it: all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _told_of(scratch, path):
            write(scratch)
            scratch.chmod(0o666 & ~_umask())  # some writers make files that only their owner may read
            os.replace(scratch, path)
    finally:
        with suppress(OSError):  # in a folder that may not even be looked into; the error before it says so
            scratch.unlink(missing_ok=True)


def write_folder_atomically(folder: Path, write: Callable[[Path], object]) -> None:
    """Has `write` fill a folder of a temporary name beside `folder`, then moves all files there at once."""
    folder = folder.resolve()
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    with _told_of(scratch, folder):
        scratch.mkdir(parents=True)
    try:
        with _told_of(scratch, folder):
            write(scratch)
            folder.mkdir(exist_ok=True)
            for file in sorted(scratch.iterdir()):
                os.replace(file, folder / file.name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _told_of(scratch: Path, asked_for: Path) -> Iterator[None]:
    """Errors of the system speak of the place that was asked for, not of one beside it that nobody named."""
    try:
        yield
    except OSError as error:
        if error.filename == str(scratch):
            error.filename = str(asked_for)
        raise


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current
