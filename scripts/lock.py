"""Write `requirements/core.lock` and `requirements/dev.lock`: what `make serve` and `make test` install.

pip resolves `pyproject.toml` without installing anything (`pip install --dry-run --report`), so no further tool is needed.
The dev lock is resolved first; the core lock is resolved under it, so that both can share one environment. Pins that
still fit are kept; `--upgrade` drops them and takes the newest versions that the ranges allow.

torch is pinned by hand, as a public version: pip then takes the build at hand, CPU or CUDA. The packages that carry CUDA
for torch are left out, because torch itself asks for the right ones where it is a CUDA build.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

TORCH = "2.13.0"
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
LEFT_OUT = ("builderbrain", "nvidia-", "cuda-")
"""Starts of names that no lock holds: the project itself, and what comes along with a CUDA build of torch."""


def resolve(requirement: str, constraints: dict[str, str]) -> dict[str, str]:
    """Version by package name for everything that `requirement` needs, under `constraints` (version by name)."""
    with tempfile.TemporaryDirectory() as folder:
        constraint_file = Path(folder) / "constraints.txt"
        constraint_file.write_text(as_lines(constraints), encoding="utf-8")
        report_file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "-qq", "--dry-run", "--ignore-installed"]
        command += ["--constraint", str(constraint_file), "--report", str(report_file), requirement]
        subprocess.run(command, cwd=ROOT, check=True)
        report = json.loads(report_file.read_text(encoding="utf-8"))
    versions = {}
    for package in report["install"]:
        name = package["metadata"]["name"].lower().replace("_", "-").replace(".", "-")
        if not name.startswith(LEFT_OUT):
            versions[name] = package["metadata"]["version"].partition("+")[0]
    return versions


def as_lines(versions: dict[str, str]) -> str:
    """One `name==version` line for each package, by name."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def read_lock(path: Path) -> dict[str, str]:
    """Version by name of an existing lock; empty when there is none."""
    if not path.exists():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return dict(line.split("==", 1) for line in lines if line and not line.startswith("#"))


def write_lock(path: Path, versions: dict[str, str]) -> None:
    """Write a lock file, with a header that says how it was made."""
    python = ".".join(platform.python_version_tuple()[:2])
    header = f"# Made by `make lock` with Python {python} on {platform.system()}; not edited by hand. See scripts/lock.py.\n"
    path.write_text(header + as_lines(versions), encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {len(versions)} packages")


def main() -> None:
    """Resolve and write both locks."""
    parser = argparse.ArgumentParser(description="Refresh requirements/*.lock from pyproject.toml.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the ranges allow")
    arguments = parser.parse_args()
    kept = {} if arguments.upgrade else read_lock(FOLDER / "dev.lock")
    development = resolve(".[dev]", kept | {"torch": TORCH})
    core = resolve(".", development | {"torch": TORCH})
    FOLDER.mkdir(exist_ok=True)
    write_lock(FOLDER / "dev.lock", development)
    write_lock(FOLDER / "core.lock", core)


if __name__ == "__main__":
    main()
