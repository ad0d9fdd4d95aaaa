"""Escapes that are really tried, in every sandbox that this machine has."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from builderbrain.errors import SandboxError, ToolError, ToolTimeoutError
from builderbrain.tools import process as process_module
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.sandbox.choose import Sandbox, this_machine
from builderbrain.tools.sandbox.confinement import Confinement, Limits
from tests.tools.conftest import SECRET, run_tool

PYTHON = [sys.executable, "-I", "-S", "-c"]
Run = Callable[..., Finished]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")


@pytest.fixture(params=["landlock", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Each kind that works here."""
    found = this_machine()
    if request.param == "bubblewrap":
        program = found.bubblewrap or shutil.which("bwrap")
        if program is None:
            pytest.skip("this machine has no bubblewrap")
        chosen = replace(found, bubblewrap=program)
    else:
        chosen = replace(found, bubblewrap=None)
        if chosen.gaps:
            pytest.skip(f"this machine cannot confine without bubblewrap: {chosen.gaps}")
    monkeypatch.setattr(process_module, "this_machine", lambda: chosen)
    return chosen


@pytest.fixture
def run(sandbox: Sandbox, tree: Path) -> Run:
    """Runs a Python script in the root of `tree`."""

    def running(
        script: str, *, writes: bool = False, network: bool = False, seconds: float = 30.0, limits: Limits | None = None
    ) -> Finished:
        confinement = Confinement(root=tree, writes=writes, network=network, limits=limits or Limits())

        async def main() -> Finished:
            return await run_process(
                [*PYTHON, script],
                folder=str(tree),
                timeout_seconds=seconds,
                max_output_bytes=1 << 20,
                confinement=confinement,
            )

        return anyio.run(main)

    return running


def tries(*expressions: str) -> str:
    """A script that prints for each expression what it gave, or the name of what it raised."""
    lines = ["import os, socket"]
    for expression in expressions:
        lines += ["try:", f"    print(repr({expression})[:200])", "except BaseException as error:"]
        lines += ["    print(type(error).__name__)"]
    return "\n".join(lines)


def printed(finished: Finished) -> list[str]:
    assert finished.status == 0, finished
    return finished.output.decode().splitlines()


REFUSED = {"PermissionError", "FileNotFoundError", "OSError", "NotADirectoryError", "ConnectionRefusedError"}


def test_paths_out_of_the_root_cannot_be_opened(run: Run, tree: Path) -> None:
    outside = tree.parent / "secret.txt"
    (tree / "absolute").symlink_to(outside)
    (tree / "relative").symlink_to("../secret.txt")
    shown = printed(
        run(
            tries(
                "open('README.md').read()[:8]",
                "open('../secret.txt').read()",
                "open('docs/../../secret.txt').read()",
                f"open({str(outside)!r}).read()",
                "open('absolute').read()",
                "open('relative').read()",
                "os.listdir('..')",
                "open('/etc/shadow').read()",
                "open('/proc/self/cwd/../secret.txt').read()",
                f"os.link({str(outside)!r}, 'linked')",
            )
        )
    )
    assert shown[0] == "'# Sample'"
    assert set(shown[1:6]) <= REFUSED
    assert SECRET not in "".join(shown)
    assert "secret.txt" not in shown[6]
    assert set(shown[7:]) <= REFUSED


def test_a_read_only_tool_changes_nothing(run: Run, tree: Path) -> None:
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    shown = printed(
        run(
            tries(
                "open('README.md', 'a').write('x')",
                "open('new', 'w').write('x')",
                "os.remove('README.md')",
                "os.rename('README.md', 'other')",
                "os.mkdir('folder')",
                "os.symlink('README.md', 'link')",
                "os.truncate('README.md', 0)",
            )
        )
    )
    assert set(shown) <= REFUSED
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_a_tool_that_writes_writes_in_the_root_alone(run: Run, tree: Path) -> None:
    outside = tree.parent / "outside"
    script = tries(
        "open('new', 'w').write('x')",
        f"open({str(outside / 'new')!r}, 'w').write('x')",
        "open('../new', 'w').write('x')",
        "open(os.environ['TMPDIR'] + '/scratch', 'w').write('x')",
        "open('/usr/new', 'w').write('x')",
    )
    shown = printed(run(script, writes=True))
    assert (shown[0], shown[3]) == ("1", "1")
    assert {shown[1], shown[2], shown[4]} <= REFUSED
    assert (tree / "new").read_text() == "x"
    assert sorted(path.name for path in outside.iterdir()) == ["secret.txt"]
    assert not (tree.parent / "new").exists()


def test_a_link_that_is_swapped_all_the_time_never_leads_out(run: Run, tree: Path) -> None:
    (tree / "inside.txt").write_text("inside")
    stop = threading.Event()

    def swap() -> None:
        targets = ["inside.txt", str(tree.parent / "secret.txt"), "../secret.txt"]
        at = 0
        while not stop.is_set():
            at += 1
            (tree / "next").symlink_to(targets[at % 3])
            os.replace(tree / "next", tree / "swapped")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        script = (
            "seen = {}\n"
            "for _ in range(20000):\n"
            "    try:\n        text = open('swapped').read()\n"
            "    except OSError as error:\n        text = type(error).__name__\n"
            "    seen[text] = seen.get(text, 0) + 1\n"
            "    if len(seen) > 1 and sum(seen.values()) > 3000: break\n"
            "print(seen)"
        )
        shown = printed(run(script))
    finally:
        stop.set()
        swapping.join()
    assert SECRET not in shown[0]
    assert "inside" in shown[0]
    assert "Error" in shown[0]  # the link did lead out while it was opened


def test_nothing_of_the_server_is_seen(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])  # one whose start environment has it
    try:
        shown = run(
            "import os\nprint(sorted(os.environ.items()))\n"
            f"for process in (1, os.getppid(), {child.pid}, {os.getpid()}):\n"
            "    for name in ('environ', 'cmdline', 'maps', 'root/etc/shadow'):\n"
            "        try: print(open(f'/proc/{process}/{name}', 'rb').read())\n"
            "        except OSError: pass\n"
            f"try: os.kill({child.pid}, 9); print('killed')\n"
            "except OSError as error: print(type(error).__name__)"
        )
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
    text = shown.output.decode()
    assert "hunter2" not in text
    assert "killed" not in text


@pytest.fixture
def listening() -> Iterator[tuple[int, int, str, list[bytes]]]:
    """A TCP port, a UDP port and an abstract socket of this machine, and what came to them."""
    came: list[bytes] = []
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    name = f"\0builderbrain-test-{os.getpid()}"
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    local.bind(name)
    local.listen()
    try:
        yield tcp.getsockname()[1], udp.getsockname()[1], name, came
        for one in (tcp, udp, local):
            one.settimeout(0.05)
        for accept in (tcp.accept, local.accept):
            with suppress(TimeoutError):
                accept()
                came.append(b"connected")
        with suppress(TimeoutError):
            came.append(udp.recv(100))
    finally:
        for one in (tcp, udp, local):
            one.close()


def test_a_tool_that_declares_no_network_has_none(run: Run, listening: tuple[int, int, str, list[bytes]]) -> None:
    tcp, udp, name, came = listening
    script = tries(
        f"socket.create_connection(('127.0.0.1', {tcp}), 2)",
        f"socket.socket(socket.AF_UNIX).connect({name!r})",
        "socket.create_connection(('1.1.1.1', 53), 2)",
        f"socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))",
    )
    shown = printed(run(script))
    assert set(shown[:3]) <= REFUSED
    assert came == []


def test_the_network_is_there_for_a_tool_that_declares_it(run: Run, listening: tuple[int, int, str, list[bytes]]) -> None:
    shown = printed(run(tries(f"socket.create_connection(('127.0.0.1', {listening[0]}), 5)"), network=True))
    assert "socket" in shown[0]


def processes_with(marker: str) -> list[int]:
    """Processes of this machine that have a marker on their command line (those that wait to be collected do not)."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if marker.encode() in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def all_gone(marker: str) -> bool:
    deadline = time.monotonic() + 5
    while processes_with(marker) and time.monotonic() < deadline:
        time.sleep(0.02)
    return processes_with(marker) == []


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


def test_a_tool_has_no_capability(run: Run) -> None:
    shown = printed(
        run(
            tries(
                "__import__('ctypes').CDLL(None, use_errno=True).mount(b'none', b'/usr', b'tmpfs', 0, None)",
                "os.chroot('.')",
                "os.setuid(12345)",
                "os.mknod('device', 0o20666, os.makedev(1, 1))",
            ),
            writes=True,
        )
    )
    assert shown[0] == "-1"
    assert set(shown[1:]) <= REFUSED


def test_text_that_looks_like_an_option_is_text(sandbox: Sandbox, tree: Path) -> None:
    from builderbrain.tools.root import WorkingRoot

    root = WorkingRoot(tree)
    (tree / "--files").write_text("the word --help stands here\n")
    (tree / "-f").mkdir()
    (tree / "-f" / "a.txt").write_text("needle\n")
    assert run_tool(root, "search", pattern="--help")["paths"] == ["--files"]
    assert run_tool(root, "search", pattern="-f/etc/passwd")["count"] == 0
    assert run_tool(root, "search", pattern="--pre=/bin/sh")["count"] == 0
    assert run_tool(root, "search", pattern="needle", path="-f")["paths"] == ["-f/a.txt"]
    assert run_tool(root, "search", pattern="word", path="--files")["paths"] == ["--files"]


def test_a_tool_that_writes_is_refused_where_nothing_confines_it(monkeypatch: pytest.MonkeyPatch, tree: Path) -> None:
    bare = Sandbox(bubblewrap=None, namespaces=False, landlock=0, limits_processes=False)
    monkeypatch.setattr(process_module, "this_machine", lambda: bare)

    def call(*, writes: bool) -> Finished:
        confinement = Confinement(root=tree, writes=writes)
        command = [*PYTHON, "print(1)"]
        return anyio.run(
            lambda: run_process(command, folder="/", timeout_seconds=20, max_output_bytes=99, confinement=confinement)
        )

    with pytest.raises(SandboxError, match=r"neither bubblewrap nor landlock.*no user namespaces.*runs as root"):
        call(writes=True)
    assert call(writes=False).output == b"1\n"  # what only looks runs with the limits that are there


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


def test_a_program_that_is_not_there_is_named(run: Run, tree: Path) -> None:
    with pytest.raises(ToolError, match="no such program"):
        anyio.run(
            lambda: run_process(
                ["no-such-program"], folder="/", timeout_seconds=1, max_output_bytes=1, confinement=Confinement(root=tree)
            )
        )
