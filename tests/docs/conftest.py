"""The tools that build the site are scripts beside it; the tests find them as the build does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "tools"))
