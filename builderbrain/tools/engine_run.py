"""A command of the engine in the sandbox: `builderbrain.eval` or `builderbrain.train`, on the CPU, without the network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from builderbrain.errors import ToolError
from builderbrain.plan.assets import asset_root
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.sandbox.confinement import PROCESSORS, Confinement, Limits

MAX_OUTPUT_BYTES = 4 * 1024 * 1024
LIMITS = Limits(processes=512, memory_bytes=16 * 1024**3, open_files=1024)
_WORKER = Path(__file__).with_name("engine_worker.py")


async def run_engine(module: str, arguments: Sequence[str], confinement: Confinement, *, timeout_seconds: float) -> Finished:
    """Run a command in the confinement's root to its end.

    Raises:
        ToolError: it refused (status 2), with its reason, or broke.
        ToolTimeoutError: it ran too long.
    """
    finished = await run_process(
        [sys.executable, "-I", "-B", str(_WORKER), module, *arguments],
        folder=str(confinement.root),
        timeout_seconds=timeout_seconds,
        max_output_bytes=MAX_OUTPUT_BYTES,
        confinement=replace(confinement, limits=LIMITS, reads=(*confinement.reads, *_own_files())),
    )
    if finished.cut:
        raise ToolError(f"{module} wrote more than {MAX_OUTPUT_BYTES} bytes and was stopped")
    if finished.status != 0:
        raise ToolError(f"{module} ended with status {finished.status}: {_reason(finished)}")
    return finished


def last_line(finished: Finished) -> str:
    """What a command said last on standard output."""
    lines = finished.output.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:1000] if lines else ""


def _own_files() -> tuple[str, ...]:
    """What the engine reads beside its package: the kernels, the schemas, the grammars."""
    kernels = Path(__file__).resolve().parents[2] / "bbkernels"
    return (*PROCESSORS, str(kernels), str(asset_root() / "schemas"), str(asset_root() / "grammars"))


def _reason(finished: Finished) -> str:
    lines = finished.error.decode("utf-8", errors="replace").strip().splitlines()
    refused = [line for line in lines if line.startswith("error: ")]
    return (refused or lines or ["it said nothing"])[-1].removeprefix("error: ")[:400]
