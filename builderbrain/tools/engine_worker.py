"""Runs one of the project's own commands in a process of its own: `engine_worker.py MODULE ARGUMENT...`.

Standard library alone. The packages are loaded from the folders beside this file, wherever they were installed; the folder that
they lie in may not be listed in the sandbox, so that no search of it would find them.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path

MODULES = ("builderbrain.eval", "builderbrain.train")
PACKAGES = ("builderbrain", "bbkernels")


def load_package(folder: Path) -> None:
    """Load the package in a folder under the folder's name.

    Raises:
        ImportError: it is no package.
    """
    spec = importlib.util.spec_from_file_location(folder.name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is no package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[folder.name] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Become the module in the first argument."""
    module = sys.argv[1]
    if module not in MODULES:
        sys.exit(f"expected one of {', '.join(MODULES)}, got {module}")
    for name in PACKAGES:
        load_package(Path(__file__).resolve().parents[2] / name)
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
