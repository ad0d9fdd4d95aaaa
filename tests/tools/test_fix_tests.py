"""fix_tests: a change stays only when it helps, and until then the root is not touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import ToolError, ToolTimeoutError
from builderbrain.tools import fix_tests, pytest_run, scratch
from builderbrain.tools.pytest_run import Failure, Suggestion, TestRun
from builderbrain.tools.suggested_name import edit_for
from tests.tools.repository import MISBEHAVING, asked, call

SOURCE = "def add(first, second):\n    return frist + second\n"
MENDED = SOURCE.replace("frist", "first")
HUNK = "@@ -1,2 +1,2 @@\n def add(first, second):\n-    return frist + second\n+    return first + second\n"
PATCH = f"--- a/calc.py\n+++ b/calc.py\n{HUNK}"
TEST = "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n\n\ndef test_true():\n    assert True\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "tests").mkdir(parents=True)
    (folder / "calc.py").write_text(SOURCE)
    (folder / "tests" / "test_calc.py").write_text(TEST)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")
    return folder


def failing(*names: str, suggestion: Suggestion | None = None) -> tuple[Failure, ...]:
    return tuple(Failure(test=name, message="", line=0, suggestion=suggestion) for name in names)


def run_of(passed: str = "", failed: str = "", suggestion: Suggestion | None = None) -> TestRun:
    return TestRun(passed=frozenset(passed), skipped=0, failures=failing(*failed, suggestion=suggestion))


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], TestRun]], None]:
    """Sets what a run of the tests finds in a copy, in the place of pytest."""

    def setting(judge: Callable[[Path], TestRun]) -> None:
        async def run_pytest(path: str, confinement: Any, *, timeout_seconds: float, marker: str = "") -> TestRun:
            return judge(confinement.root)

        monkeypatch.setattr(fix_tests, "run_pytest", run_pytest)

    return setting


def test_a_misspelt_name_is_mended_for_real(root: Path) -> None:
    found = call(root, "fix_tests", path="tests")
    assert (found["fixed"], found["before"], found["after"], found["strategy"]) == (True, 1, 0, "suggested_name")
    assert found["text"] == "calc.py:2: first in place of frist helps"
    assert (root / "calc.py").read_text() == MENDED
    assert sorted(path.name for path in root.iterdir()) == ["calc.py", "pytest.ini", "tests"]
    call(root, "undo_fix", applied=found["applied"])
    assert (root / "calc.py").read_text() == SOURCE


def judge_calc(folder: Path) -> TestRun:
    text = (folder / "calc.py").read_text()
    if text == SOURCE:
        return run_of("ab", "cd")
    return run_of("abc", "d") if text == MENDED else run_of("a", "bcd")


def test_a_patch_that_helps_stays(root: Path, runner: Any) -> None:
    runner(judge_calc)
    found = call(root, "fix_tests", patch=PATCH)
    assert (found["fixed"], found["before"], found["after"], found["strategy"]) == (True, 2, 1, "patch")
    assert found["applied"] == PATCH
    assert (root / "calc.py").read_text() == MENDED


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (run_of("ab", "cd"), "2 tests fail as before"),
        (run_of("abc", "de"), "e fails with it"),
        (run_of("ac", "d"), "b passed before and does not run with it"),
        (run_of("", ""), "a passed before"),
    ],
)
def test_a_patch_that_does_not_help_is_not_kept(root: Path, runner: Any, after: TestRun, reason: str) -> None:
    runner(lambda folder: run_of("ab", "cd") if (folder / "calc.py").read_text() == SOURCE else after)
    found = call(root, "fix_tests", patch=PATCH)
    assert (found["fixed"], found["before"], found["after"], found["strategy"], found["applied"]) == (False, 2, 2, "none", "")
    assert reason in found["text"]
    assert (root / "calc.py").read_text() == SOURCE


@pytest.mark.parametrize(("run", "said"), [(run_of("ab"), "all 2 tests pass"), (run_of(), "no tests here")])
def test_where_nothing_fails_nothing_is_done(root: Path, runner: Any, run: TestRun, said: str) -> None:
    runner(lambda _: run)
    found = call(root, "fix_tests", patch=PATCH)
    assert (found["fixed"], found["strategy"]) == (False, "none")
    assert said in found["text"]
    assert (root / "calc.py").read_text() == SOURCE


def test_without_a_misspelt_name_it_says_that_it_cannot(root: Path, runner: Any) -> None:
    runner(lambda _: run_of("a", "b"))
    found = call(root, "fix_tests")
    assert (found["fixed"], found["applied"]) == (False, "")
    assert "give a patch" in found["text"]


def test_names_that_do_not_help_are_taken_back_and_tried_once(root: Path, runner: Any) -> None:
    wrong = Suggestion(path="calc.py", line=2, wrong="frist", right="second")
    seen: list[str] = []

    def judge(folder: Path) -> TestRun:
        seen.append((folder / "calc.py").read_text())
        return run_of("a", "b", wrong)

    runner(judge)
    found = call(root, "fix_tests")
    assert (found["fixed"], len(seen)) == (False, 2)
    assert "second in place of frist does not help" in found["text"]
    assert (root / "calc.py").read_text() == SOURCE


def test_a_patch_that_does_not_apply_is_refused(root: Path, runner: Any) -> None:
    runner(lambda _: run_of("a", "b"))
    with pytest.raises(ToolError, match="nothing was changed: the diff does not apply"):
        call(root, "fix_tests", patch=PATCH.replace("frist", "other"))


def test_files_that_change_meanwhile_are_not_overwritten(root: Path, runner: Any) -> None:
    def judge(folder: Path) -> TestRun:
        (root / "calc.py").write_text("def add(first, second):\n    return 'mine'\n")
        return judge_calc(folder)

    runner(judge)
    with pytest.raises(ToolError, match="changed while the fix was tried"):
        call(root, "fix_tests", patch=PATCH)
    assert "mine" in (root / "calc.py").read_text()


def test_tests_that_take_too_long_change_nothing(root: Path, runner: Any) -> None:
    calls: list[int] = []

    def judge(folder: Path) -> TestRun:
        calls.append(1)
        if len(calls) > 1:
            raise ToolTimeoutError("python ran longer than 3 s and was stopped")
        return judge_calc(folder)

    runner(judge)
    with pytest.raises(ToolError, match="nothing was changed: python ran longer") as refused:
        call(root, "fix_tests", patch=PATCH)
    assert not isinstance(refused.value, ToolTimeoutError), "a timeout would leave open whether there was an effect"
    assert (root / "calc.py").read_text() == SOURCE


@pytest.mark.parametrize("fault", ["crash", "garbage", "killed"])
def test_a_test_process_that_breaks_changes_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(MISBEHAVING[fault])
    monkeypatch.setattr(pytest_run, "_WORKER", worker)
    monkeypatch.setattr(pytest_run, "PROCESSORS", (*pytest_run.PROCESSORS, str(tmp_path)))
    with pytest.raises(ToolError, match="the test process"):
        call(root, "fix_tests", patch=PATCH)
    assert (root / "calc.py").read_text() == SOURCE


def test_tests_run_in_a_copy_that_keeps_out_what_is_outside(root: Path, tmp_path: Path, runner: Any) -> None:
    (tmp_path / "secret.txt").write_text("outside")
    (root / "inside").symlink_to("calc.py")
    (root / "absolute").symlink_to(tmp_path / "secret.txt")
    (root / ".git").mkdir()
    (root / "node_modules").mkdir()
    seen: list[Any] = []

    def judge(folder: Path) -> TestRun:
        assert folder != root
        seen.append(sorted(path.name for path in folder.iterdir()))
        (folder / "calc.py").write_text("ruined by a test")
        return run_of("a")

    runner(judge)
    call(root, "fix_tests")
    assert seen == [["calc.py", "inside", "pytest.ini", "tests"]]
    assert (root / "calc.py").read_text() == SOURCE


def test_a_root_too_large_to_copy_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MAX_COPIED_FILES", 2)
    with pytest.raises(ToolError, match="too much to"):
        call(root, "fix_tests")


def test_whether_it_was_done_is_read_from_the_files(root: Path) -> None:
    assert asked(root, "fix_tests", patch=PATCH) is None
    (root / "calc.py").write_text(MENDED)
    assert asked(root, "fix_tests", patch=PATCH)["applied"] == PATCH
    (root / "calc.py").write_text("something else\n")
    with pytest.raises(ToolError, match="neither"):
        asked(root, "fix_tests", patch=PATCH)
    with pytest.raises(ToolError, match="not known"):
        asked(root, "fix_tests")


@pytest.mark.parametrize(
    ("path", "line", "text"),
    [
        ("../secret.py", 1, SOURCE),
        ("gone.py", 1, SOURCE),
        ("calc.py", 99, SOURCE),
        ("calc.py", 1, SOURCE),
        ("calc.py", 2, SOURCE.replace("\n", "\r\n")),
        ("calc.py", 2, SOURCE.rstrip("\n")),
        ("calc.py", 2, SOURCE.replace("frist", "frist_one")),
        ("linked.py", 2, SOURCE),
    ],
)
def test_a_suggestion_that_does_not_fit_its_file_changes_nothing(root: Path, path: str, line: int, text: str) -> None:
    (root.parent / "secret.py").write_text(SOURCE)
    (root / "linked.py").symlink_to("../secret.py")
    (root / "calc.py").write_bytes(text.encode())
    assert edit_for(Suggestion(path=path, line=line, wrong="frist", right="first"), root) is None
