"""`python -m glassformer`: the command line."""

import sys

from glassformer.cli import main

sys.exit(main())
