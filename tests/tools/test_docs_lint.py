"""docs_lint: what it finds in Markdown, what it leaves alone, and texts that mean it harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from builderbrain.errors import PathEscapeError, ToolError
from tests.tools.repository import call


def faults(folder: Path, text: str) -> list[str]:
    (folder / "page.md").write_text(text)
    found = call(folder, "docs_lint", path="page.md")
    assert found["count"] == 0 or found["first_path"] == "page.md"
    assert found["clean"] is (found["count"] == 0)
    return [line.removeprefix("page.md:") for line in found["text"].splitlines() if line.startswith("page.md:")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\n[x](gone.md)\n", "3: the link to gone.md leads nowhere"),
        ("# A\n\n![x](img/gone.png)\n", "3: the link to img/gone.png leads nowhere"),
        ("[x](a%20gone.md)\n", "1: the link to a gone.md leads nowhere"),
        ("[x](/gone.md)\n", "1: the link to /gone.md leads nowhere"),
        ("[x][ref]\n\n[ref]: gone.md\n", "3: the link to gone.md leads nowhere"),
        ('[x](gone.md "a title")\n', "1: the link to gone.md leads nowhere"),
        ("[x](../outside.md)\n", "1: the link to ../outside.md leads nowhere"),
        ("# A b\n\n[x](#a-c)\n", "3: there is no heading #a-c in this file"),
        ("[x](other.md#nowhere)\n", "1: there is no heading #nowhere in other.md"),
        ("# A\n\n### C\n", "3: a heading of level 3 below one of level 1"),
        ("#\n", "1: a heading without words"),
        ("# A\n\n```python\nx = 1\n", "3: the code fence ``` is never closed"),
        ("~~~~\n```\n~~~\n", "1: the code fence ~~~~ is never closed"),
    ],
)
def test_a_fault_is_found_at_its_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "other.md").write_text("# Other\n")
    found = faults(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith(expected)
    assert "; " in found[0], "a fault says what to do"


@pytest.mark.parametrize(
    "text",
    [
        "# A b\n\n[x](#a-b) [y](other.md#other) [z](other.md) [f](.) [w](https://example.org/gone) [m](mailto:a@b.c)\n",
        "# A\n\n## A\n\n[x](#a-1)\n",
        "```\n[x](gone.md)\n### C\n```\n",
        "`[x](gone.md)` and ``[y](gone.md)``\n",
        '<a id="here"></a>\n\n[x](#here)\n',
        "````\n```\n````\n",
        "Text [with] (blank) and [x]() and a[0](1)\n".replace("a[0](1)", "a[0] (1)"),
        "",
    ],
)
def test_what_is_right_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.md").write_text("# Other\n")
    assert faults(tmp_path, text) == []


def test_a_folder_is_looked_through_without_hidden_and_generated_folders(tmp_path: Path) -> None:
    for name in ("b.md", "docs/a.MD", "node_modules/x.md", ".hidden/y.md", "docs/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("[x](gone.md)\n")
    found = call(tmp_path, "docs_lint")
    assert found["paths"] == ["b.md", "docs/a.MD"]
    assert (found["count"], found["first_path"], found["clean"]) == (2, "b.md", False)
    assert call(tmp_path, "docs_lint", path="docs")["paths"] == ["docs/a.MD"]


def test_what_lies_outside_the_root_is_not_there(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").write_text("# Secret\n")
    (root / "link.md").symlink_to("../outside.md")
    (root / "page.md").write_text("[x](../outside.md) [y](link.md#secret)\n")
    found = call(root, "docs_lint")
    assert found["count"] == 2
    assert "Secret" not in found["text"]
    assert "link.md could not be read" in found["text"]
    with pytest.raises(PathEscapeError):
        call(root, "docs_lint", path="../outside.md")


@pytest.mark.parametrize(("path", "message"), [("gone.md", "there is no"), ("a.txt", "no Markdown file")])
def test_what_cannot_be_looked_through_is_said(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ToolError, match=message):
        call(tmp_path, "docs_lint", path=path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "`" * 200_000,
        "[x](" * 50_000,
        "[a](b" * 40_000 + "\n",
        "#" * 200_000,
        "<a id=" * 30_000,
        "[x](a(" * 30_000,
    ],
)
def test_hostile_text_takes_no_time(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.md").write_text(text)
    started = time.monotonic()
    call(tmp_path, "docs_lint")
    assert time.monotonic() - started < 2


def test_binary_and_huge_files_are_named_not_read(tmp_path: Path) -> None:
    (tmp_path / "huge.md").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "binary.md").write_bytes(b"\xff\0\xfe[x](gone.md)")
    found = call(tmp_path, "docs_lint")
    assert "huge.md could not be read" in found["text"]
    assert found["paths"] == ["binary.md"]
