"""The tool that makes and executes the notebooks is a script beside the site's; the tests find it there."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "tools"))
