"""What was handed in, read as data: Python files and notebooks, from a folder or a zip, within limits.

Nothing is unpacked where its name says, no link is followed, and what is no code is never opened.
"""

import contextlib
import hashlib
import io
import os
import re
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from glassformer.errors import DataError

MIB = 2**20
SUFFIXES = (".py", ".ipynb")
FILE_BYTES, ALL_BYTES, CODE_FILES, ENTRIES, DEPTH = 5 * MIB, 20 * MIB, 200, 10_000, 12
PASSED_OVER = re.compile(r"(^|/)(\.[^/]+|__pycache__|__MACOSX|site-packages|node_modules|venv)(/|$)")


@dataclass(frozen=True)
class Submission:
    """files: path below its folder -> text as bytes. broken: why nothing of it could be read."""

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    broken: str = ""

    @property
    def digest(self) -> str:
        made = hashlib.sha256(self.broken.encode(errors="backslashreplace"))
        for path, data in sorted(self.files.items()):
            made.update(f"{len(path)}:{path}:{len(data)}:".encode(errors="backslashreplace") + data)
        return made.hexdigest()

    @contextlib.contextmanager
    def unpacked(self) -> Iterator[Path]:
        """A folder of its own with these files, gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="glassformer-submission-") as made:
            for path, data in self.files.items():
                place = Path(made, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            yield Path(made)


def of_class(folder: Path) -> list[Path]:
    """The sub-folders and zips of a folder, by name. Raises DataError where there are none."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give one with a sub-folder or a zip for each submission")
    found = [
        each
        for each in sorted(folder.iterdir(), key=lambda path: path.name)
        if not each.name.startswith((".", "__"))
        and not each.is_symlink()
        and (each.is_dir() or each.suffix.lower() == ".zip")
    ]
    if not found:
        raise DataError(f"{folder} holds no submissions: no sub-folder and no zip")
    return found


def read(path: Path) -> Submission:
    """A submission out of a folder, a zip or a single file; what is wrong with it is kept, not raised."""
    name = path.name if path.name not in ("", "..") else path.resolve().name or str(path.resolve())
    try:
        if path.is_dir():
            return Submission(name, _of_folder(path))
        if path.suffix.lower() == ".zip":
            return Submission(name, _of_zip(_bytes(path, 500 * MIB)))
        return Submission(name, {path.name: _bytes(path, FILE_BYTES)})
    except _Refused as error:
        return Submission(name, broken=str(error))
    except OSError as error:
        return Submission(name, broken=f"it cannot be read: {error.strerror or error}")


class _Refused(Exception):
    pass


def _wanted(path: str) -> bool:
    return path.lower().endswith(SUFFIXES) and not PASSED_OVER.search(path)


def _bytes(path: Path, limit: int) -> bytes:
    """Of a regular file; a pipe or a device would never end."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _Refused(f"{path.name} is no regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise _Refused(f"{path.name} is larger than {limit // MIB} MiB")
    return data


class _Limits:
    """Counts what was taken, and refuses what is too much."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._bytes = self._entries = 0

    def entry(self) -> None:
        self._entries += 1
        if self._entries > ENTRIES:
            raise _Refused(f"it holds more than {ENTRIES} files")

    def take(self, path: str, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > ALL_BYTES or len(self.files) >= CODE_FILES:
            raise _Refused(f"its code is more than {CODE_FILES} files, or {ALL_BYTES // MIB} MiB")
        for each in self.files:
            one, two = sorted((path.lower(), each.lower()), key=len)
            if two == one or two.startswith(one + "/"):
                raise _Refused(f"it holds {path!r} twice, or {one!r} as a file and as a folder")
        self.files[path] = data


def _of_folder(folder: Path) -> dict[str, bytes]:
    limits = _Limits()
    left = [(folder, "", 0)]
    while left:
        here, prefix, depth = left.pop()
        with os.scandir(here) as entries:
            for each in sorted(entries, key=lambda entry: entry.name):
                limits.entry()
                path = prefix + each.name
                if each.is_symlink() or PASSED_OVER.search(path):
                    continue
                if each.is_dir(follow_symlinks=False):
                    if depth < DEPTH:
                        left.append((Path(each.path), path + "/", depth + 1))
                elif _wanted(path) and each.is_file(follow_symlinks=False):
                    limits.take(path, _bytes(Path(each.path), FILE_BYTES))
    return limits.files


def _of_zip(data: bytes) -> dict[str, bytes]:
    """Refuses the whole zip for a link, an absolute path, or one that leads out of it."""
    limits = _Limits()
    if data.count(b"PK\1\2") > ENTRIES:  # each entry of its list begins so: too long a list is not read
        raise _Refused(f"it holds more than {ENTRIES} files")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            for info in opened.infolist():
                limits.entry()
                _require_inside(info)
                if info.is_dir() or not _wanted(info.filename):
                    continue
                if info.flag_bits & 1:
                    raise _Refused(f"{info.filename!r} in the zip wants a password")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise _Refused(f"{info.filename!r} is packed in a way that is not read; zip it as usual")
                with opened.open(info) as file:
                    text = file.read(FILE_BYTES + 1)
                if len(text) > FILE_BYTES:
                    raise _Refused(f"{info.filename!r} in the zip is larger than {FILE_BYTES // MIB} MiB")
                limits.take(info.filename, text)
    except _Refused:
        raise
    except Exception as error:  # zipfile raises all kinds of things for what is no zip
        raise _Refused(f"it is no zip that can be read: {error}") from None
    return limits.files


def _require_inside(info: zipfile.ZipInfo) -> None:
    name = info.filename
    path = PurePosixPath(name)
    out = path.is_absolute() or ".." in path.parts or "\\" in name or re.match(r"[A-Za-z]:", name)
    if out or len(path.parts) > DEPTH or any(not each.isprintable() for each in name):
        raise _Refused(f"the zip holds {name!r}, a path that leads out of it or cannot be")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise _Refused(f"the zip holds {name!r}, a link")
