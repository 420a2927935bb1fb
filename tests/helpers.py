"""Small made-up data that several tests need."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

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


def glassformer(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "glassformer", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=240,
        **options,  # type: ignore[call-overload]
    )
