"""Images as numbers: decoded once into one array on disk, which is memory-mapped and never loaded whole."""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Literal

import numpy as np
from jaxtyping import Int64, UInt8, UInt64

from glassformer.data.decoding import decode
from glassformer.data.image_files import SKIP_HINT, ImageSource
from glassformer.errors import DataError, UsageError
from glassformer.progress import with_progress


def _none_skipped() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Images:
    """Decoded images of one size.

    pixels: may be memory-mapped. hashes: of the pixels, to find duplicates across splits. notes: what was
    done to how many images, for people. skipped: the rows of the source, in order, that could not be decoded
    and have no row here; `np.delete(labels, skipped)` are the labels of the rows that are.
    """

    pixels: UInt8[np.ndarray, "rows channels height width"]
    hashes: UInt64[np.ndarray, " rows"]
    notes: tuple[str, ...] = ()
    skipped: Int64[np.ndarray, " bad"] = field(default_factory=_none_skipped)

    def __len__(self) -> int:
        return len(self.hashes)


@dataclass(frozen=True)
class ImageExamples:
    """Some rows of an `Images`, with their class numbers."""

    images: Images
    rows: Int64[np.ndarray, " examples"]
    labels: Int64[np.ndarray, " examples"]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Int64[np.ndarray, " taken"]) -> "ImageExamples":
        """These examples, in this order."""
        return ImageExamples(self.images, self.rows[rows], self.labels[rows])

    @property
    def hashes(self) -> UInt64[np.ndarray, " examples"]:
        """The hashes of these rows' pixels."""
        return self.images.hashes[self.rows]


def decode_all(
    sources: Iterable[ImageSource],
    size: tuple[int, int],
    channels: Literal[1, 3],
    folder: Path,
    *,
    total: int,
    skip_bad: bool = False,
) -> Images:
    """Decodes images one after the other into `folder`, which appears whole or not at all.

    size: (height, width), pixels. total: how many sources there are, for the progress bar. skip_bad: leave
    out what cannot be decoded.
    Raises the DataError of the first bad image, or with skip_bad one that says that all are bad; UsageError
    where the disk has no room for them.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _require_room(folder.parent, total, channels, size)
    kinds, hashes, bad = Counter[str](), list[int](), dict[int, tuple[str, str]]()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        finished = Path(scratch) / "finished"
        finished.mkdir()
        with (finished / "pixels.npy").open("wb") as file:
            _write_header(file, (0, channels, *size))
            for row, source in enumerate(with_progress(sources, lambda source: 1, total, "decoding images")):
                try:
                    pixels, notes = decode(source.read(), source.name, size, channels)
                except DataError as error:
                    if not skip_bad:
                        raise DataError(f"{error}{SKIP_HINT}") from error
                    bad[row] = source.name, str(error)
                    continue
                file.write(content := pixels.tobytes())
                hashes.append(_hash(content))
                kinds.update(notes)
            if not hashes:
                reasons = "".join(f"; the first: {reason}" for _, reason in list(bad.values())[:1])
                raise DataError(f"none of the {total:,} images can be read{reasons}")
            # how many rows there are is known only now; the header keeps its length whatever their number
            file.seek(0)
            _write_header(file, (len(hashes), channels, *size))
        np.save(finished / "hashes.npy", np.array(hashes, dtype=np.uint64))
        record = {
            "notes": as_notes(kinds) + skipped_note([name for name, _ in bad.values()]),
            "skipped": [{"row": row, "reason": reason} for row, (_, reason) in bad.items()],
        }
        (finished / "notes.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        try:
            os.replace(finished, folder)
        except OSError:  # another process was faster with the same content
            if not folder.is_dir():
                raise
    return open_images(folder)


def _require_room(folder: Path, total: int, channels: int, size: tuple[int, int]) -> None:
    wanted, free = total * channels * size[0] * size[1] / 2**30, shutil.disk_usage(folder).free / 2**30
    if wanted > free:
        raise UsageError(
            f"{total:,} images of {size[0]} x {size[1]} pixels take {wanted:,.1f} GiB, and {folder} has "
            f"{free:,.1f} GiB left; make room, choose smaller or fewer images, or set "
            "GLASSFORMER_CACHE to another disk"
        )


def open_images(folder: Path) -> Images:
    """Opens what `decode_all` wrote, memory-mapped. Raises DataError where it is incomplete."""
    try:
        pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        hashes = np.load(folder / "hashes.npy", allow_pickle=False)
        record = json.loads((folder / "notes.json").read_text(encoding="utf-8"))
        skipped = np.array([each["row"] for each in record["skipped"]], dtype=np.int64)
        notes = tuple(record["notes"])
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise DataError(f"the cache {folder} is broken ({error}); delete that folder") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != len(hashes):
        raise DataError(f"the cache {folder} is broken (sizes differ); delete that folder")
    return Images(pixels, hashes, notes, skipped)


def hash_pixels(
    pixels: UInt8[np.ndarray, "rows channels height width"],
) -> UInt64[np.ndarray, " rows"]:
    """A 64-bit hash of each image."""
    return np.array([_hash(image.tobytes()) for image in pixels], dtype=np.uint64)


def _hash(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest())


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def as_notes(kinds: Counter[str]) -> list[str]:
    """What `decode` says was done, counted: '12 images with transparency were put on white'."""
    return [
        f"{count:,} images {kind}"
        if count > 1
        else f"1 image {kind}".replace(" were ", " was ", 1).replace(" their ", " its ", 1)
        for kind, count in kinds.most_common()
    ]


def skipped_note(names: list[str]) -> list[str]:
    """That these images are left out, if there are any."""
    if not names:
        return []
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    (note,) = as_notes(Counter({"were left out as unreadable": len(names)}))
    return [f"{note}: {', '.join(names[:3])}{more}"]
