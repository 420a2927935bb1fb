"""The download, against a stand-in for the hub on this machine: nothing here needs a network."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.helpers import reviews, write_parquet

from glassformer.data.imdb import REVISION, SHA256

SCRIPT = """
import sys
from glassformer.data.imdb import imdb_file
from glassformer.errors import DataError
try:
    file = imdb_file("train", None, {"train": sys.argv[1]})
    print(len(file.labels()), file.path.name)
except DataError as error:
    print("DataError:", error)
"""


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "train.parquet", *reviews(12))


@pytest.fixture
def hub(parquet: Path) -> Iterator[tuple[str, list[str]]]:
    """Serves one file the way the hub does; gives its address and the paths that were asked for."""
    content, asked = parquet.read_bytes(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def fetch(endpoint: str, home: Path, digest: str, before: str = "") -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "GLASS"))}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", before + SCRIPT, digest],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_download_is_pinned_checked_and_kept(hub, parquet: Path, tmp_path: Path) -> None:
    endpoint, asked = hub
    digest = hashlib.sha256(parquet.read_bytes()).hexdigest()
    expected = "12 train-00000-of-00001.parquet"
    assert fetch(endpoint, tmp_path / "home", digest) == expected
    path = f"/datasets/stanfordnlp/imdb/resolve/{REVISION}/plain_text/train-00000-of-00001.parquet"
    assert {each for each in asked if "resolve" in each} == {path}
    assert fetch("http://127.0.0.1:9", tmp_path / "home", digest) == expected  # kept: no network needed


def test_a_wrong_checksum_is_refused(hub, tmp_path: Path) -> None:
    answer = fetch(hub[0], tmp_path / "home", "0" * 64)
    assert answer.startswith("DataError:")
    assert "not the pinned 000000000000" in answer


def test_no_network_tells_both_ways(tmp_path: Path) -> None:
    at_once = "import time; time.sleep = lambda seconds: None"  # the hub's client would try again for 23 s
    answer = fetch("http://127.0.0.1:9", tmp_path / "home", "0" * 64, before=at_once)
    assert answer.startswith("DataError: IMDB could not be downloaded")
    assert "connect this machine to the network" in answer
    assert "--data-dir DIR" in answer


def test_the_pins_are_whole() -> None:
    assert len(REVISION) == 40
    assert all(len(digest) == 64 for digest in SHA256.values())
