"""`python -m benchmarks.accelerator --out DIR [--cpu | --dry-run] [--only OPERATION ...] [--shapes SHAPE ...]`.

Needs a CUDA device. `--cpu` needs none and measures what runs there: native code, and PyTorch where there is none.
`--dry-run` needs none either: it compiles every kernel for `--architecture`, then goes through the same checks, timings and
report with tiny inputs on the CPU, the kernels interpreted. Its times mean nothing and say so.
Exit status: 0 all right, 1 a kernel was wrong or failed, 2 unusable input.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bbkernels.variant import ARCHITECTURES

if TYPE_CHECKING:
    from benchmarks.accelerator.case import Scale

OPERATIONS = (
    "gated_fusion",
    "cross_attention",
    "cached_attention",
    "ragged_attention",
    "page_write",
    "masked_sample",
    "governed_loss",
    "nf4_linear",
    "skill_adapter",
    "whole_engine",
)
SECTIONS = ("decode_step", "serving")
"""Whole bases, measured where `--only` names them (`sections.py`): made to take about five minutes of a GPU together."""
SHAPES = ("0.6B", "8B", "14B")
"""What the options take: looked at before PyTorch and the operations are imported, which takes seconds."""


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="accelerator.json and accelerator.md go here")
    without = parser.add_mutually_exclusive_group()
    without.add_argument("--cpu", action="store_true", help="measure what runs on this machine's processor instead")
    without.add_argument("--dry-run", action="store_true", help="compile for a GPU, check and rehearse on the CPU")
    parser.add_argument(
        "--architecture", type=int, default=90, metavar="N", help="what --dry-run compiles for: 80, 90 (default) or 100"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="OPERATION",
        default=None,
        help="operations to measure (default: all), or decode_step and serving, which measure whole bases",
    )
    parser.add_argument("--shapes", nargs="+", metavar="SHAPE", default=SHAPES, help="bases of the latter: 0.6B, 8B, 14B")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Check and measure every case; returns the exit status."""
    options = build_parser().parse_args(arguments)
    for option, given, known in (("only", options.only or (), (*OPERATIONS, *SECTIONS)), ("shapes", options.shapes, SHAPES)):
        unknown = sorted(set(given) - set(known))
        if unknown:
            print(f"--{option}: expected {' or '.join(known)}, got {', '.join(unknown)}", file=sys.stderr)
            return 2
    if options.architecture not in ARCHITECTURES:
        known = ", ".join(map(str, ARCHITECTURES))
        print(f"--architecture: expected one of {known}, got {options.architecture}", file=sys.stderr)
        return 2
    if not (options.cpu or options.dry_run) and not _has_device():
        print("expected a CUDA device, found none; --cpu measures the processor, --dry-run rehearses", file=sys.stderr)
        return 2
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"--out: expected a folder that exists or can be made, got {options.out}: {error.strerror}", file=sys.stderr)
        return 2
    scale: Scale = "processor" if options.cpu else "rehearsal" if options.dry_run else "accelerator"
    operations = [name for name in options.only or () if name in OPERATIONS]
    sections = [name for name in SECTIONS if name in (options.only or ())]
    status = _measure_operations(options, scale, operations) if operations or not sections else 0
    if sections:
        from benchmarks.accelerator import sections as whole_bases  # brings PyTorch

        status = max(status, whole_bases.run(options.out, scale, sections, tuple(options.shapes)))
    return status


def _measure_operations(options: argparse.Namespace, scale: Scale, operations: Sequence[str]) -> int:
    if options.dry_run and not _compile_all(options.architecture):
        return 1
    from benchmarks.accelerator.session import run  # brings PyTorch

    return run(options.out, scale, operations)


def _has_device() -> bool:
    """Whether PyTorch has a CUDA device; without a driver there is no need to ask it, which takes seconds."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    import torch

    return torch.cuda.is_available()


def _compile_all(architecture: int) -> bool:
    """Compile every variant, in a process of its own: `triton.jit` decides once per process whether it interprets."""
    script = Path(__file__).resolve().parents[2] / "scripts/compile_kernels.py"
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, str(script), "--architecture", str(architecture)]
    return subprocess.run(command, env=environment, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
