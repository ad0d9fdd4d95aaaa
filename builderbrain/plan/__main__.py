"""`python -m builderbrain.plan`, also `bb plan`."""

from __future__ import annotations

import sys

from builderbrain.agent.plan_cli import main

if __name__ == "__main__":
    sys.exit(main())
