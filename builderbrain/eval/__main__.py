"""`python -m builderbrain.eval`."""

from __future__ import annotations

import sys

from builderbrain.eval.cli import main

if __name__ == "__main__":
    sys.exit(main())
