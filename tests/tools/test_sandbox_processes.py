"""Bombs, floods and leftovers, really made, in every sandbox that this machine has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from builderbrain.errors import ToolTimeoutError
from builderbrain.tools import process as process_module
from builderbrain.tools.process import run_process
from builderbrain.tools.sandbox import cgroup
from builderbrain.tools.sandbox.choose import Sandbox, this_machine
from builderbrain.tools.sandbox.confinement import Confinement, Limits
from tests.tools.confined import PYTHON, Run, all_gone, printed, processes_with, tries

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")


def test_a_fork_bomb_is_held_and_gone(run: Run) -> None:
    marker = f"bomb-{time.monotonic_ns()}"
    script = (
        f"'{marker}'\nimport os, time\nmade = 0\n"
        "while True:\n"
        "    try: child = os.fork()\n"
        "    except OSError as error: print(made, type(error).__name__, flush=True); break\n"
        "    if child == 0: time.sleep(60); os._exit(0)\n"
        "    made += 1\n"
        "    if made > 500: print('no limit', flush=True); break\n"
    )
    shown = printed(run(script, limits=Limits(processes=30)))
    assert shown[0].endswith("BlockingIOError")
    assert 5 <= int(shown[0].split()[0]) <= 30
    assert all_gone(marker)


def test_a_real_fork_bomb_ends_with_its_time(run: Run) -> None:
    marker = f"bomb-{time.monotonic_ns()}"
    script = (
        f"'{marker}'\nimport os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True:\n"
        "    try:\n        if os.fork() == 0: os.setsid()\n"
        "    except OSError: time.sleep(0.01)\n"
    )
    with pytest.raises(ToolTimeoutError):
        run(script, seconds=2, limits=Limits(processes=40))
    assert all_gone(marker)
    assert subprocess.run(["/bin/true"], check=False).returncode == 0


def test_ten_gigabytes_of_output_are_cut(run: Run) -> None:
    started = time.monotonic()
    finished = run("import sys\nchunk = 'x' * (1 << 20)\nfor _ in range(10240): sys.stdout.write(chunk)")
    assert finished.cut
    assert len(finished.output) == 1 << 20
    assert time.monotonic() - started < 20


def test_a_file_of_ten_gigabytes_is_not_written(run: Run, tree: Path) -> None:
    script = (
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    with open('big', 'wb') as file: file.truncate(10 << 30)\n"
        "except OSError as error: print(type(error).__name__, error.errno)\n"
    )
    assert printed(run(script, writes=True))[0] == "OSError 27"  # EFBIG
    assert (tree / "big").stat().st_size <= Limits().file_bytes


def test_memory_is_limited(run: Run) -> None:
    limits = Limits(memory_bytes=512 << 20)
    assert printed(run(tries("len(bytearray(2 << 30))"), limits=limits)) == ["MemoryError"]


def test_daemons_and_grandchildren_are_gone_with_the_tool(run: Run) -> None:
    marker = f"daemon-{time.monotonic_ns()}"
    script = (
        f"'{marker}'\nimport os, signal, sys, time\n"
        "for ignored in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(ignored, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.setsid(); [os.close(number) for number in (0, 1, 2)]; time.sleep(60)\n"
        "    os._exit(0)\n"
        "time.sleep(0.3); print('left')\n"
    )
    assert printed(run(script)) == ["left"]
    assert all_gone(marker)


def test_they_are_gone_after_the_time_limit_too(run: Run) -> None:
    marker = f"daemon-{time.monotonic_ns()}"
    script = (
        f"'{marker}'\nimport os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.fork() == 0: os.setsid(); os.fork()\ntime.sleep(60)\n"
    )
    started = time.monotonic()
    with pytest.raises(ToolTimeoutError, match="longer than 2 s"):
        run(script, seconds=2)
    assert time.monotonic() - started < 10
    assert all_gone(marker)


def test_they_are_gone_when_the_server_is_killed(sandbox: Sandbox, tree: Path) -> None:
    marker = f"orphan-{time.monotonic_ns()}"
    script = f"'{marker}'; import os, time; os.fork(); time.sleep(60)"
    server = (
        "import anyio, sys\nfrom pathlib import Path\nfrom builderbrain.tools import process\n"
        "from builderbrain.tools.sandbox.choose import Sandbox\n"
        "from builderbrain.tools.sandbox.confinement import Confinement\n"
        f"process.this_machine = lambda: {sandbox!r}\n"
        f"anyio.run(lambda: process.run_process([sys.executable, '-I', '-S', '-c', {script!r}], folder='/', timeout_seconds=60,"
        f" max_output_bytes=10, confinement=Confinement(root=Path({str(tree)!r}))))"
    )
    started = subprocess.Popen([sys.executable, "-c", server], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        deadline = time.monotonic() + 30
        while len(set(processes_with(marker)) - {started.pid}) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(processes_with(marker)) >= 3
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
    assert all_gone(marker)


def test_cancelling_ends_everything(sandbox: Sandbox, tree: Path) -> None:
    marker = f"cancelled-{time.monotonic_ns()}"
    script = f"'{marker}'; import os, time; os.fork(); time.sleep(60)"

    async def main() -> None:
        async with anyio.create_task_group() as group:

            async def call() -> None:
                await run_process(
                    [*PYTHON, script],
                    folder="/",
                    timeout_seconds=60,
                    max_output_bytes=10,
                    confinement=Confinement(root=tree),
                )

            group.start_soon(call)
            with anyio.fail_after(30):
                while len(processes_with(marker)) < 2:
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()

    anyio.run(main)
    assert all_gone(marker)


def test_what_is_left_behind_is_gone_without_namespaces_too(monkeypatch: pytest.MonkeyPatch, tree: Path) -> None:
    bare = replace(this_machine(), bubblewrap=None, namespaces=False)
    monkeypatch.setattr(process_module, "this_machine", lambda: bare)
    marker = f"daemon-{time.monotonic_ns()}"
    script = f"'{marker}'\nimport os, time\nif os.fork() == 0: os.setsid(); os.fork(); time.sleep(60)\ntime.sleep(0.2)"
    confinement = Confinement(root=tree)
    anyio.run(
        lambda: run_process([*PYTHON, script], folder="/", timeout_seconds=20, max_output_bytes=99, confinement=confinement)
    )
    assert all_gone(marker)


@pytest.mark.skipif(cgroup.parent_folder() is None, reason="control groups cannot be made here")
def test_a_control_group_is_gone_afterwards_and_so_are_those_of_killed_servers() -> None:
    parent = cgroup.parent_folder()
    assert parent is not None
    left = parent / "builderbrain-999999999-1"  # no process has this number
    left.mkdir()
    with cgroup.process_limit(5) as folder:
        assert (Path(folder) / "pids.max").read_text().strip() == "5"
        assert not left.exists()
    assert not Path(folder).exists()
