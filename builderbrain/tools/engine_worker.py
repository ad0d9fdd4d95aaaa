"""Runs one of the project's own commands in a process of its own: `engine_worker.py MODULE ARGUMENT...`.

Standard library alone. The project is found beside this file, wherever it was installed.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

MODULES = ("builderbrain.eval", "builderbrain.train")


def main() -> None:
    """Become the module in the first argument."""
    module = sys.argv[1]
    if module not in MODULES:
        sys.exit(f"expected one of {', '.join(MODULES)}, got {module}")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
