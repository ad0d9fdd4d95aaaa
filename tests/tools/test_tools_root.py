"""Confinement: no spelling, link or race leads out of the working root."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from builderbrain.errors import PathEscapeError, ToolError
from builderbrain.plan.paths import path_fault
from builderbrain.tools.root import WorkingRoot
from tests.tools.conftest import SECRET, run_tool

ESCAPES = [
    "..",
    "../",
    "../secret.txt",
    "./../secret.txt",
    ".//..//secret.txt",
    "src/../../secret.txt",
    "src/./../../secret.txt",
    "src/../src/../../secret.txt",
    "nowhere/../../secret.txt",
    "a/b/c/../../../../secret.txt",
    "docs/..//../secret.txt",
    "/",
    "/etc/passwd",
    "//etc/passwd",
    "///etc///passwd",
    "/./etc/passwd",
    "/proc/self/environ",
    "/dev/stdin",
    "~",
    "~/.ssh/id_ed25519",
    "~nobody/x",
    "$HOME/x",
    "${HOME}/x",
    "$(pwd)/../secret.txt",
    "..\\secret.txt",
    "src\\..\\..\\secret.txt",
    "\\\\server\\share",
    "C:\\Windows\\win.ini",
    "C:/Windows/win.ini",
    "file:///etc/passwd",
    "FILE:secret.txt",
    "https://example.com/x",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "..%2fsecret.txt",
    "..%5csecret.txt",
    "%252e%252e%252fsecret.txt",
    "%2fetc%2fpasswd",
    "\uff0e\uff0e/secret.txt",
    "..\uff0fsecret.txt",
    "\u2025/secret.txt",
    "... /../../secret.txt",
    ".../secret.txt",
    ".. /secret.txt",
    " /etc/passwd",
    "../secret.txt\0.md",
    "README.md\0/../../secret.txt",
    "..\n/secret.txt",
    "..\x7f/secret.txt",
    "",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_every_spelling_of_an_escape_is_refused(root: WorkingRoot, path: str) -> None:
    with pytest.raises(PathEscapeError) as refused, root.open(path):
        pass
    assert refused.value.field == "path"
    assert "working root" in refused.value.message
    for skill, arguments in (("read", {"path": path}), ("list", {"path": path}), ("search", {"pattern": "x", "path": path})):
        with pytest.raises(PathEscapeError):
            run_tool(root, skill, **arguments)


def test_the_list_of_spellings_is_long_enough() -> None:
    assert len(set(ESCAPES)) >= 40


@pytest.mark.parametrize(
    "path",
    [
        ".",
        "./",
        "a",
        "a/b.c",
        "./a",
        "a/../b",
        ".github/x",
        "-x",
        "--help",
        "a b/c (1).md",
        "100%.txt",
        "ab:c",
        "ä/漢.md",
        "a..b",
        "a$b",
    ],
)
def test_plain_paths_are_let_through(path: str) -> None:
    assert path_fault(path) is None


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        ("../secret.txt", False),
        ("../../secret.txt", False),
        ("..", False),
        ("src/../../secret.txt", False),
        ("nowhere", None),
        ("README.md", True),
        ("src/../README.md", True),
        ("docs", True),
    ],
)
def test_links_are_followed_inside_and_refused_outside(tree: Path, root: WorkingRoot, target: str, inside: bool | None) -> None:
    (tree / "link").symlink_to(target)
    expected: type[Exception] = PathEscapeError if inside is False else ToolError
    if inside:
        with root.open("link") as opened:
            assert opened.path in ("README.md", "docs")
    else:
        with pytest.raises(expected), root.open("link"):
            pass


def test_an_absolute_link_is_refused_even_when_it_points_inside(tree: Path, root: WorkingRoot) -> None:
    (tree / "link").symlink_to(tree / "README.md")
    with pytest.raises(PathEscapeError, match="absolute link"), root.open("link"):
        pass


def test_a_link_to_a_folder_outside_leads_nowhere_for_any_tool(tree: Path, root: WorkingRoot) -> None:
    (tree / "out").symlink_to("../outside")
    for skill, arguments in (
        ("read", {"path": "out/secret.txt"}),
        ("list", {"path": "out"}),
        ("search", {"pattern": "secret", "path": "out"}),
    ):
        with pytest.raises(PathEscapeError):
            run_tool(root, skill, **arguments)
    assert run_tool(root, "search", pattern=SECRET)["count"] == 0


def test_links_in_a_ring_end(tree: Path, root: WorkingRoot) -> None:
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("a")
    with pytest.raises(ToolError, match="links"), root.open("a"):
        pass


def test_a_link_swapped_between_check_and_use_never_shows_the_secret(tree: Path, root: WorkingRoot) -> None:
    """One thread swaps a folder for a link to the outside, as fast as it can; the other reads through it."""
    inner = tree / "swap"
    inner.mkdir()
    (inner / "secret.txt").write_text("inside\n")
    os.symlink("../outside", tree / "evil")
    stop = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not stop.is_set():
            os.rename(inner, tree / "kept")
            os.rename(tree / "evil", inner)
            os.rename(inner, tree / "evil")
            os.rename(tree / "kept", inner)
            swaps += 1

    thread = threading.Thread(target=swap)
    thread.start()
    seen = {"inside": 0, "refused": 0, "gone": 0}
    try:
        for _ in range(4_000):
            try:
                with root.open("swap/secret.txt") as opened:
                    assert os.read(opened.descriptor, 64) == b"inside\n"
                    seen["inside"] += 1
            except PathEscapeError:
                seen["refused"] += 1
            except ToolError:
                seen["gone"] += 1
    finally:
        stop.set()
        thread.join()
    assert seen["inside"] > 0
    assert swaps > 100


def test_no_handle_is_left_open(tree: Path, root: WorkingRoot) -> None:
    (tree / "out").symlink_to("../outside")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("README.md", "src/gate.py", "src", "out/secret.txt", "missing/x", "README.md/x", "src/../README.md"):
        try:
            with root.open(path):
                pass
        except (PathEscapeError, ToolError):
            continue
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_root_below_a_root(tree: Path, root: WorkingRoot) -> None:
    assert root.below("src").folder == tree / "src"
    for path, error in (("..", PathEscapeError), ("README.md", ToolError), ("missing", ToolError)):
        with pytest.raises(error):
            root.below(path)


def test_a_root_must_be_a_folder(tree: Path) -> None:
    for path in (tree / "README.md", tree / "missing"):
        with pytest.raises(ToolError, match="expected a folder") as refused:
            WorkingRoot(path)
        assert refused.value.field == "root"
