"""search, read, list, talk on a small tree, with each search engine that this machine has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import SchemaError, ToolError, ToolTimeoutError
from builderbrain.plan import get_domain
from builderbrain.tools import registry, search
from builderbrain.tools.phrase import relaxed_pattern, words_of
from builderbrain.tools.ranking import FileMatches, ranked
from builderbrain.tools.root import WorkingRoot
from builderbrain.tools.search_worker import is_ignored, parse_ignore
from tests.tools.conftest import run_tool

RIPGREP = shutil.which("rg")


@pytest.fixture(
    params=["Python", pytest.param("ripgrep", marks=pytest.mark.skipif(RIPGREP is None, reason="ripgrep is not installed"))]
)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(search, "ripgrep_program", lambda: RIPGREP if request.param == "ripgrep" else None)
    return str(request.param)


def test_search_finds_the_phrase_whatever_the_case_and_ranks_what_defines_it_first(root: WorkingRoot, engine: str) -> None:
    found = run_tool(root, "search", pattern="Promotion GATE")
    assert found["paths"] == ["src/gate.py", "README.md", "src/other.py", "tests/test_gate.py"]
    assert (found["first_path"], found["last_path"], found["count"]) == ("src/gate.py", "tests/test_gate.py", 5)
    assert "README.md:3: The promotion gate decides." in found["text"]
    assert found["text"].endswith(f"[searched with {engine}]")


def test_search_passes_over_hidden_ignored_generated_and_binary_files(root: WorkingRoot, engine: str) -> None:
    paths = run_tool(root, "search", pattern="promotion gate")["paths"]
    assert not {".hidden", ".git/config", "node_modules/x.js", "logs/run.log", "binary.bin"}.intersection(paths)


def test_search_relaxes_separators_only_when_nothing_has_the_phrase_and_says_so(root: WorkingRoot, engine: str) -> None:
    found = run_tool(root, "search", pattern="promotion-gates", path="src")
    assert found["paths"] == ["src/gate.py", "src/other.py"]
    assert found["text"].startswith('[no line has "promotion-gates" itself')
    assert "[no line" not in run_tool(root, "search", pattern="promotion gate")["text"]


def test_search_of_nothing_is_a_success_without_paths(root: WorkingRoot, engine: str) -> None:
    found = run_tool(root, "search", pattern="zzz-nowhere")
    assert (found["count"], found["first_path"], found["last_path"], found["paths"]) == (0, None, None, [])


@pytest.mark.parametrize(
    "pattern",
    ["--help", "-e", "--files", "-", "--pre=touch", "(", "[a", "\\", "a|b", ".*", "$(true)", "`id`", "x\ny", "é", "*"],
)
def test_a_pattern_is_text_never_an_option_or_an_expression(tree: Path, root: WorkingRoot, engine: str, pattern: str) -> None:
    (tree / "odd").mkdir()
    (tree / "odd" / "plain.md").write_text("nothing of the kind\n" if pattern != "-e" else "\n")
    (tree / "odd" / "it.md").write_text(f"before {' '.join(pattern.split())} after\n")
    assert run_tool(root, "search", pattern=pattern, path="odd")["paths"] == ["odd/it.md"]
    assert not (tree / "touch").exists()


def test_a_path_that_looks_like_an_option_is_a_path(tree: Path, root: WorkingRoot, engine: str) -> None:
    (tree / "--files").mkdir()
    (tree / "--files" / "-x.md").write_text("needle\n")
    assert run_tool(root, "search", pattern="needle", path="--files")["paths"] == ["--files/-x.md"]
    assert run_tool(root, "search", pattern="needle", path="--files/-x.md")["paths"] == ["--files/-x.md"]
    assert run_tool(root, "list", path="--files")["paths"] == ["--files/-x.md"]
    assert run_tool(root, "read", path="--files/-x.md")["text"] == "needle\n"


def test_search_in_a_file_and_in_a_folder(root: WorkingRoot, engine: str) -> None:
    assert run_tool(root, "search", pattern="gate", path="README.md")["paths"] == ["README.md"]
    assert run_tool(root, "search", pattern="gate", path="tests")["paths"] == ["tests/test_gate.py"]
    with pytest.raises(ToolError, match="no 'missing'"):
        run_tool(root, "search", pattern="gate", path="missing")


def test_search_survives_names_and_lines_that_are_no_text(tree: Path, root: WorkingRoot, engine: str) -> None:
    with open(os.fsencode(tree) + b"/bad\xff.md", "wb") as file:
        file.write(b"needle \xff\xfe\n")
    (tree / "long.md").write_text("needle " + "x" * 100_000 + "\n")
    found = run_tool(root, "search", pattern="needle")
    assert "long.md" in found["paths"]
    found["text"].encode("utf-8")
    assert len(found["text"]) < 2_000


def test_search_output_is_capped_with_a_mark(tree: Path, root: WorkingRoot, engine: str) -> None:
    for number in range(150):
        (tree / f"many{number}.md").write_text("needle\n" * 50)
    found = run_tool(root, "search", pattern="needle")
    assert len(found["paths"]) == 100
    assert "60 of " in found["text"]
    assert found["count"] >= 5_000


def test_a_search_over_its_time_is_stopped(root: WorkingRoot, engine: str) -> None:
    with pytest.raises(ToolTimeoutError):
        run_tool(root, "search", timeout_seconds=0.0, pattern="x")


def test_read_gives_text_lines_and_the_path_that_was_read(root: WorkingRoot) -> None:
    assert run_tool(root, "read", path="./src/../docs/a.txt") == {"path": "docs/a.txt", "lines": 1, "text": "alpha\n"}
    assert run_tool(root, "read", path="docs/b.txt")["lines"] == 1
    assert run_tool(root, "read", path="empty.txt") == {"path": "empty.txt", "lines": 0, "text": ""}


def test_read_finds_the_only_file_of_a_bare_name(tree: Path, root: WorkingRoot) -> None:
    assert run_tool(root, "read", path="gate.py")["path"] == "src/gate.py"
    (tree / "docs" / "gate.py").write_text("x")
    with pytest.raises(ToolError, match=r"did you mean docs/gate\.py or src/gate\.py"):
        run_tool(root, "read", path="gate.py")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src", "is a folder; list it"),
        ("binary.bin", "binary"),
        ("src/gaet.py", r"did you mean src/gate\.py"),
        ("zzzzzz", "list the folder"),
        ("README.md/x", "is a file, not a folder"),
    ],
)
def test_read_says_what_is_wrong_and_what_to_do(root: WorkingRoot, path: str, expected: str) -> None:
    with pytest.raises(ToolError, match=expected) as refused:
        run_tool(root, "read", path=path)
    assert refused.value.field == "path"


def test_read_cuts_long_files_with_a_mark_at_a_whole_character(tree: Path, root: WorkingRoot) -> None:
    (tree / "long.md").write_text("é" * 40_000 + "\nend\n", encoding="utf-8")
    found = run_tool(root, "read", path="long.md")
    assert found["lines"] == 2
    assert found["text"].endswith("[cut: 32768 of 80005 bytes shown]")
    assert "\ufffd" not in found["text"]


def test_read_refuses_a_pipe_without_hanging(tree: Path, root: WorkingRoot) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(ToolError, match="no regular file"):
        run_tool(root, "read", path="pipe")


def test_list_names_folders_and_files_and_counts_what_it_leaves_out(root: WorkingRoot) -> None:
    found = run_tool(root, "list")
    assert found["paths"] == ["README.md", "binary.bin", "empty.txt"]
    assert (found["count"], found["first_path"], found["last_path"]) == (3, "README.md", "empty.txt")
    assert found["text"].split("\n")[:4] == ["docs/", "logs/", "src/", "tests/"]
    assert found["text"].endswith("[4 hidden or generated entries left out]")
    assert run_tool(root, "list", path="docs")["paths"] == ["docs/a.txt", "docs/b.txt"]


def test_list_of_a_file_or_a_misspelled_folder_says_what_to_do(root: WorkingRoot) -> None:
    for path, expected in (("README.md", "read it instead"), ("dosc", "did you mean docs")):
        with pytest.raises(ToolError, match=expected):
            run_tool(root, "list", path=path)


def test_an_empty_folder_has_no_first_path(tree: Path, root: WorkingRoot) -> None:
    (tree / "void").mkdir()
    found = run_tool(root, "list", path="void")
    assert (found["count"], found["first_path"], found["last_path"], found["paths"]) == (0, None, None, [])


def test_talk_says_what_it_is_given(root: WorkingRoot) -> None:
    assert run_tool(root, "talk", text="Hello.\n", about="x") == {"text": "Hello.\n"}


def test_every_skill_has_a_tool_and_a_missing_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(registry.tools_of("repo_assistant", 1)) == {"search", "read", "list", "talk"}
    with pytest.raises(SchemaError, match="TOOL = Tool"):
        registry._tool("shout")
    with pytest.raises(SchemaError, match="TOOL = Tool"):
        registry._tool("ranking")


@pytest.mark.parametrize(
    ("ignore", "path", "folder", "expected"),
    [
        ("*.log", "a/b.log", False, True),
        ("*.log\n!keep.log", "a/keep.log", False, False),
        ("/build", "build", True, True),
        ("/build", "a/build", True, False),
        ("out/", "a/out", True, True),
        ("out/", "a/out", False, False),
        ("docs/*.txt", "docs/a.txt", False, True),
        ("docs/*.txt", "docs/b/a.txt", False, False),
        ("docs/**/x", "docs/a/b/x", False, True),
        ("**/cache", "a/b/cache", True, True),
        ("a/**", "a/b/c", False, True),
        ("file?.c", "file1.c", False, True),
        ("[abc].c", "b.c", False, True),
        ("[!abc].c", "b.c", False, False),
        ("# x\n\n", "x", False, False),
        ("\\#x", "#x", False, True),
        ("[", "[", False, True),
    ],
)
def test_ignore_rules_of_the_python_search(ignore: str, path: str, folder: bool, expected: bool) -> None:
    assert is_ignored(path, folder=folder, rules=parse_ignore(ignore, "")) is expected
    assert is_ignored(f"sub/{path}", folder=folder, rules=parse_ignore(ignore, "sub/")) is expected


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        ("the promotion gate", ("promotion", "gate")),
        ("PromotionGate", ("promotion", "gate")),
        ("promotion_gate2", ("promotion", "gate", "2")),
        ("HTTPServer of", ("http", "server")),
        ("the", ("the",)),
        ("->", ()),
    ],
)
def test_words_of_phrases_and_identifiers(phrase: str, words: tuple[str, ...]) -> None:
    assert words_of(phrase) == words
    assert (relaxed_pattern(phrase) is None) == (not words)


def test_ranking_prefers_definitions_and_names_over_mentions_and_sends_tests_and_data_last() -> None:
    def file(path: str, *lines: str) -> FileMatches:
        return FileMatches(path, list(enumerate(lines, start=1)))

    files = [
        file("tests/test_x.py", *["def test_parse_plan():"] * 5),
        file("goals.json", *['"parse plan"'] * 9),
        file("CHANGELOG.md", "- parse plan is faster"),
        file("a/use.py", "x = parse_plan(text)"),
        file("a/parse.py", "def parse_plan(text):"),
    ]
    order = ["a/parse.py", "a/use.py", "CHANGELOG.md", "tests/test_x.py", "goals.json"]
    assert [other.path for other in ranked(files, "parse plan")] == order
    assert [other.path for other in ranked(files[::-1], "parse plan")] == order


def test_a_tool_gives_exactly_what_its_schema_declares(root: WorkingRoot) -> None:

    calls: dict[str, dict[str, Any]] = {
        "search": {"pattern": "gate"},
        "read": {"path": "README.md"},
        "list": {},
        "talk": {"text": "x"},
    }
    for skill, declared in get_domain("repo_assistant").skills.items():
        assert set(run_tool(root, skill, **calls[skill])) == set(declared.results) - {"ok"}
