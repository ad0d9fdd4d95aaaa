"""`python -m builderbrain.plan`."""

from __future__ import annotations

import sys

from builderbrain.plan.cli import main

if __name__ == "__main__":
    sys.exit(main())
