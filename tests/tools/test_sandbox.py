"""Escapes that are really tried, in every sandbox that this machine has."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from builderbrain.errors import SandboxError, ToolError
from builderbrain.tools import process as process_module
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.sandbox.choose import Sandbox
from builderbrain.tools.sandbox.confinement import Confinement
from tests.tools.confined import PYTHON, REFUSED, Run, printed, tries
from tests.tools.conftest import SECRET, run_tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")


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
    (tree / "swapped").symlink_to("inside.txt")
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
            "import time\nseen = {}\nended = time.monotonic() + 20\n"
            "while time.monotonic() < ended:\n"
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


def test_a_program_that_is_not_there_is_named(run: Run, tree: Path) -> None:
    with pytest.raises(ToolError, match="no such program"):
        anyio.run(
            lambda: run_process(
                ["no-such-program"], folder="/", timeout_seconds=1, max_output_bytes=1, confinement=Confinement(root=tree)
            )
        )
