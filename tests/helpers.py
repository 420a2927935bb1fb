"""Small made-up data that several tests need."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

GOOD = ["a wonderful film", "great acting and a great story", "i loved it", "brilliant and moving"]
BAD = ["a terrible film", "awful acting and a dull story", "i hated it", "boring and stupid"]


def reviews(count: int, seed: int = 0) -> tuple[list[str], list[int]]:
    """Texts of good or bad words with fillers; the label is 1 for good ones."""
    generator = np.random.default_rng(seed)
    texts, labels = [], []
    for number in range(count):
        label = int(generator.integers(2))
        phrases = list(generator.choice(GOOD if label else BAD, size=int(generator.integers(1, 5))))
        texts.append(f"review {number} : " + " . ".join(phrases))
        labels.append(label)
    return texts, labels


def write_csv(
    path: Path, rows: list[tuple[object, object]], header: tuple[str, str] = ("text", "label")
) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_jsonl(path: Path, rows: list[tuple[object, object]]) -> Path:
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, texts: list[str], labels: list[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table({"text": texts, "label": labels}), path)
    return path


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Code that ends without an error in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def glassformer(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        **options,  # type: ignore[call-overload]
    )


def image_bytes(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """A file of (height, width) or (height, width, channels) pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def image_folder(folder: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """One sub-folder a class; images of several sizes, those of a class in shades of their own."""
    generator = np.random.default_rng(seed)
    for number, (name, count) in enumerate(sorted(counts.items())):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            shade = 40 + 170 * number // max(1, len(counts) - 1)
            size = (18 + i % 3, 20 + i % 2, 3)
            pixels = generator.integers(-30, 31, size) + shade
            (folder / name / f"{i}.png").write_bytes(image_bytes(pixels.clip(0, 255).astype(np.uint8)))
    return folder


def cifar10_folder(folder: Path, kind: str = "PNG") -> Path:
    """A folder as --data-dir wants it, with noise of the size of CIFAR-10's images."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        images = [
            {
                "bytes": image_bytes(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8), kind),
                "path": None,
            }
            for _ in range(count)
        ]
        table = pa.table({"img": images, "label": [number % 10 for number in range(count)]})
        (folder / "cifar10").mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(table, folder / "cifar10" / f"{split}.parquet")
    return folder


def commands_in(text: str) -> list[str]:
    """The `glassformer` lines in a document's blocks of code that name no language, without their remarks."""
    found, block = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            block = line[3:].strip() if block is None else None
        elif block == "" and line.startswith("glassformer "):
            found.append(line.split("  #")[0].strip())
    return found
