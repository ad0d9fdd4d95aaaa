"""Processes of tools: nothing of the server's environment, nothing after the time limit, nothing over the cap."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import anyio
import pytest

from builderbrain.errors import ToolError, ToolTimeoutError
from builderbrain.tools.process import ENVIRONMENT, Finished, run_process

PYTHON = [sys.executable, "-I", "-S", "-c"]


def run(script: str, timeout_seconds: float = 20.0, cap: int = 1 << 20) -> Finished:
    async def main() -> Finished:
        return await run_process([*PYTHON, script], folder="/", timeout_seconds=timeout_seconds, max_output_bytes=cap)

    return anyio.run(main)


def gone(process: int) -> bool:
    """Whether a process has ended (a zombie that init has yet to collect has)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(process: int) -> bool:
    deadline = time.monotonic() + 5
    while not gone(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return gone(process)


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


def test_the_whole_group_is_dead_after_the_time_limit(tmp_path: Path) -> None:
    """A child that ignores SIGTERM and has a child of its own that does too."""
    note = tmp_path / "grandchild"
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        f"if child: open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child}}')\n"
        "time.sleep(60)\n"
    )
    for limit in (1, 5, 20):  # a busy machine may take longer than a second to start Python
        started = time.monotonic()
        with pytest.raises(ToolTimeoutError, match=f"longer than {limit} s"):
            run(script, timeout_seconds=limit)
        assert time.monotonic() - started < limit + 15
        if note.exists() and note.read_text():
            break
    for process in map(int, note.read_text().split()):
        assert wait_until_gone(process)


def test_a_child_left_behind_dies_with_the_tool(tmp_path: Path) -> None:
    note = tmp_path / "child"
    script = (
        "import os, time\nchild = os.fork()\n"
        f"if child: open({str(note)!r}, 'w').write(str(child)); os._exit(0)\n"
        "os.close(1); os.close(2); time.sleep(60)\n"
    )
    assert run(script).status == 0
    assert wait_until_gone(int(note.read_text()))


def test_cancelling_kills_the_process(tmp_path: Path) -> None:
    note = tmp_path / "process"
    script = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    async def main() -> None:
        with anyio.move_on_after(20) as scope:
            async with anyio.create_task_group() as group:

                async def call() -> None:
                    await run_process([*PYTHON, script], folder="/", timeout_seconds=50, max_output_bytes=10)

                group.start_soon(call)
                while not note.exists() or not note.read_text():
                    await anyio.sleep(0.02)
                group.cancel_scope.cancel()
        assert not scope.cancelled_caught

    anyio.run(main)
    assert wait_until_gone(int(note.read_text()))


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
        anyio.run(lambda: run_process(["/nonexistent/program"], folder="/", timeout_seconds=1, max_output_bytes=1))
