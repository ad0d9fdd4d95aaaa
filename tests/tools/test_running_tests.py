"""run_tests, prove_suite and type_check: what they find, and processes that crash, hang, flood or talk nonsense."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from builderbrain.errors import PathEscapeError, ToolError, ToolTimeoutError
from builderbrain.tools import pytest_run, type_check
from tests.tools.repository import FLOOD, HANGING, MISBEHAVING, asked, call

TESTS = """
import os, pytest, pathlib

def test_right(): assert True
def test_wrong(): assert 1 + 1 == 3, "sums\\nin two lines"
def test_broken(absent): pass
@pytest.mark.skip
def test_later(): pass
@pytest.mark.property
def test_always(): print("noise" * 100)
def test_environment():
    known = {"PATH", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "TMPDIR", "PYTEST_CURRENT_TEST", "PYTEST_VERSION"}
    assert set(os.environ) <= known
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Without the plugins of this environment, which take seconds to load."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\nmarkers = property: always holds\n")
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "test_some.py").write_text(TESTS)
    return tmp_path


def test_outcomes_are_counted_and_failures_named(root: Path) -> None:
    (root / "tests" / "test_torn.py").write_text("def test_(:\n")
    found = call(root, "run_tests", path="tests")
    assert (found["passed"], found["count"], found["failed"]) == (False, 6, 3)
    assert found["first_path"] == "tests/test_torn.py"
    assert found["paths"] == ["tests/test_torn.py", "tests/test_some.py"]
    lines = found["text"].splitlines()
    assert lines[0] == "3 tests passed, 3 failed, 1 skipped"
    assert "tests/test_some.py::test_wrong: AssertionError: sums" in lines
    assert any(line.startswith("tests/test_torn.py: ") and "SyntaxError" in line for line in lines)
    assert not list(root.rglob("__pycache__"))
    assert not (root / ".pytest_cache").exists()
    assert asked(root, "run_tests", path="tests") is None


def test_property_tests_are_those_with_the_marker(root: Path) -> None:
    found = call(root, "prove_suite", marker="property")
    assert (found["passed"], found["count"], found["failed"], found["first_path"]) == (True, 1, 0, None)
    nothing = call(root, "prove_suite")
    assert (nothing["passed"], nothing["count"]) == (False, 0)
    assert "hypothesis" in nothing["text"]


@pytest.mark.parametrize("marker", ["a or b", "not", "x; import os", "-x", "a" * 65, "", "é"])
def test_a_marker_is_one_name(root: Path, marker: str) -> None:
    with pytest.raises(ToolError, match="name of a marker"):
        call(root, "prove_suite", marker=marker)


@pytest.mark.parametrize("skill", ["run_tests", "prove_suite", "type_check"])
def test_paths_stay_in_the_root_and_are_no_options(root: Path, skill: str) -> None:
    with pytest.raises(PathEscapeError):
        call(root, skill, path="../x")
    with pytest.raises(ToolError, match="there is no '--version'"):
        call(root, skill, path="--version")


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of the process that runs pytest."""
    path = tmp_path / "worker.py"
    monkeypatch.setattr(pytest_run, "_WORKER", path)
    return path


@pytest.mark.parametrize("fault", MISBEHAVING)
def test_a_process_that_breaks_is_a_fault_of_the_tool_and_no_result(root: Path, worker: Path, fault: str) -> None:
    worker.write_text(MISBEHAVING[fault])
    with pytest.raises(ToolError, match="the test process"):
        call(root, "run_tests")


def test_a_process_that_hangs_is_stopped(root: Path, worker: Path) -> None:
    worker.write_text(HANGING)
    with pytest.raises(ToolTimeoutError, match="ran longer than"):
        call(root, "run_tests", seconds=1.5)


def test_a_process_that_floods_is_stopped(root: Path, worker: Path) -> None:
    worker.write_text(FLOOD)
    with pytest.raises(ToolError, match="more than"):
        call(root, "run_tests")


def test_without_pytest_the_refusal_says_what_to_install(root: Path, worker: Path) -> None:
    worker.write_text('print(\'{"missing": "pytest"}\')')
    with pytest.raises(ToolError, match="pip install pytest"):
        call(root, "run_tests")


def test_pytest_that_cannot_start_says_why(root: Path) -> None:
    (root / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option --disable-plugin-autoload\n")
    with pytest.raises(ToolError, match="no-such-option"):
        call(root, "run_tests")


def test_type_errors_are_found_where_they_are(root: Path) -> None:
    (root / "typed.py").write_text("def half(x: int) -> str:\n    return x / 2\n")
    (root / "pyproject.toml").write_text("[tool.mypy]\nstrict = true\n")
    found = call(root, "type_check", path="typed.py")
    assert (found["passed"], found["count"], found["first_path"], found["paths"]) == (False, 1, "typed.py", ["typed.py"])
    assert "typed.py:2: Incompatible return value type" in found["text"]
    assert not (root / ".mypy_cache").exists()
    (root / "typed.py").write_text("def half(x: int) -> float:\n    return x / 2\n")
    assert call(root, "type_check", path="typed.py")["passed"] is True


def test_a_file_that_cannot_be_parsed_is_an_error_of_types(root: Path) -> None:
    (root / "torn.py").write_text("def f(:\n")
    found = call(root, "type_check", path="torn.py")
    assert (found["passed"], found["first_path"]) == (False, "torn.py")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (MISBEHAVING["crash"], "status 3"),
        (MISBEHAVING["garbage"], "did not say what it found"),
        (MISBEHAVING["deep"], "did not say what it found"),
        (MISBEHAVING["killed"], "status 137"),
        ('print(\'{"file": "a.py", "line": 1, "message": "x", "severity": "error"}\')', "status 0"),
    ],
)
def test_mypy_that_breaks_has_not_checked(root: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    monkeypatch.setattr(type_check, "_COMMAND", (sys.executable, "-I", "-S", "-c", script))
    with pytest.raises(ToolError, match=message):
        call(root, "type_check")


def test_without_mypy_the_refusal_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ToolError, match="pip install mypy"):
        call(root, "type_check")
