"""Processes of tools: nothing of the server's environment, nothing after the time limit, nothing over the cap."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import anyio
import pytest

from builderbrain.errors import ToolError
from builderbrain.tools.process import ENVIRONMENT, Finished, run_process
from builderbrain.tools.sandbox.confinement import Confinement

CONFINEMENT = Confinement(root=Path("/var/empty"))
PYTHON = [sys.executable, "-I", "-S", "-c"]


def run(script: str, timeout_seconds: float = 20.0, cap: int = 1 << 20) -> Finished:
    async def main() -> Finished:
        return await run_process(
            [*PYTHON, script], folder="/", timeout_seconds=timeout_seconds, max_output_bytes=cap, confinement=CONFINEMENT
        )

    return anyio.run(main)


def test_the_environment_does_not_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    shown = run("import os; print(sorted(os.environ.items()))").output.decode()
    assert "hunter2" not in shown
    assert shown.strip() == str(sorted(ENVIRONMENT.items()))


def test_standard_input_is_closed_and_descriptors_are_not_inherited(tmp_path: Path) -> None:
    with (tmp_path / "open.txt").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        shown = run(f"import os, sys; print(repr(sys.stdin.read()), os.path.exists('/proc/self/fd/{file.fileno()}'))")
    assert shown.output.strip() == b"'' False"


def test_output_over_the_cap_is_cut_and_stops_the_process() -> None:
    started = time.monotonic()
    finished = run("import sys\nwhile True: sys.stdout.write('x' * 65536)", cap=1_000_000)
    assert finished.cut
    assert len(finished.output) == 1_000_000
    assert time.monotonic() - started < 15


def test_errors_are_kept_but_bounded() -> None:
    finished = run("import sys; sys.stderr.write('e' * 1_000_000); sys.exit(3)")
    assert finished.status == 3
    assert finished.error == b"e" * 4096


def test_a_program_that_is_not_there_is_a_named_error() -> None:
    with pytest.raises(ToolError, match="cannot be started"):
        anyio.run(
            lambda: run_process(
                ["/nonexistent/program"], folder="/", timeout_seconds=1, max_output_bytes=1, confinement=CONFINEMENT
            )
        )
