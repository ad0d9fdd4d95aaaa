"""`python -m builderbrain.mcp`."""

from __future__ import annotations

import sys

from builderbrain.mcp.command import main

if __name__ == "__main__":
    sys.exit(main())
