"""patch_dry_run and undo_fix: what applies, what does not and why, and diffs that try to get out."""

from __future__ import annotations

from pathlib import Path

import pytest

from builderbrain.errors import ToolError, ToolTimeoutError
from builderbrain.tools import process as process_module
from tests.tools.repository import asked, call

PATCH = "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def one():\n-    return 2\n+    return 1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("outside\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "calc.py").write_text("def one():\n    return 2\n")
    return root


def listing(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_diff_that_applies_is_handed_on_and_nothing_is_written(root: Path) -> None:
    before = listing(root)
    found = call(root, "patch_dry_run", patch=PATCH.rstrip("\n"))
    assert (found["applies"], found["patch"], found["count"], found["first_path"]) == (True, PATCH, 1, "calc.py")
    assert "calc.py: 1 lines added, 1 taken out" in found["text"]
    assert listing(root) == before
    assert asked(root, "patch_dry_run", patch=PATCH) is None


def test_a_diff_without_leading_letters_and_one_of_a_new_file_apply(root: Path) -> None:
    plain = PATCH.replace("a/calc", "calc").replace("b/calc", "calc")
    assert call(root, "patch_dry_run", patch=plain)["first_path"] == "calc.py"
    new = "--- /dev/null\n+++ b/docs/new.md\n@@ -0,0 +1 @@\n+# New\n"
    assert call(root, "patch_dry_run", patch=new)["first_path"] == "docs/new.md"
    assert not (root / "docs").exists()


@pytest.mark.parametrize(
    ("patch", "reason"),
    [
        (PATCH.replace("return 2", "return 3"), "calc.py: patch does not apply"),
        (PATCH.replace("calc.py", "gone.py"), "gone.py: No such file"),
        ("words, no diff at all", "No valid patches"),
        (PATCH.replace("@@ -1,2 +1,2 @@", "@@ -1,9 +1,2 @@"), "corrupt patch"),
        (PATCH.replace("a/calc.py", "a/../../secret.txt").replace("b/calc.py", "b/../../secret.txt"), ""),
        ("--- /dev/null\n+++ b/../escaped\n@@ -0,0 +1 @@\n+x\n", "invalid path"),
        ("--- /dev/null\n+++ b/.git/hooks/post-checkout\n@@ -0,0 +1 @@\n+x\n", "invalid path '.git/hooks"),
        ("--- /dev/null\n+++ b/link/x\n@@ -0,0 +1 @@\n+x\n", "beyond a symbolic link"),
    ],
)
def test_a_diff_that_does_not_apply_says_why_and_is_not_handed_on(root: Path, patch: str, reason: str) -> None:
    (root / "link").symlink_to("..")
    before = listing(root.parent)
    found = call(root, "patch_dry_run", patch=patch)
    assert (found["applies"], found["patch"], found["count"]) == (False, None, 0)
    assert reason in found["text"]
    assert listing(root.parent) == before


def test_settings_of_a_repository_in_the_root_do_not_hold(root: Path) -> None:
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text('[core]\n\tfsmonitor = "touch pwned"\n[alias]\n\tapply = "!touch pwned"\n')
    assert call(root, "patch_dry_run", patch=PATCH)["applies"] is True
    assert not (root / "pwned").exists()


def test_without_git_it_is_refused_with_the_reason(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(process_module.ENVIRONMENT, "PATH", str(tmp_path))
    with pytest.raises(ToolError, match="git cannot be started: there is no such program"):
        call(root, "patch_dry_run", patch=PATCH)


def test_git_that_hangs_is_stopped(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = root / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\nexec sleep 600\n")
    git.chmod(0o755)
    monkeypatch.setitem(process_module.ENVIRONMENT, "PATH", f"{git.parent}:/usr/bin:/bin")
    with pytest.raises(ToolTimeoutError):
        call(root, "patch_dry_run", seconds=1.0, patch=PATCH)


def test_git_that_breaks_is_told_from_a_diff_that_does_not_apply(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = root / "bin" / "git"
    git.parent.mkdir()
    git.write_text("#!/bin/sh\necho 'fatal: out of order' >&2\nexit 128\n")
    git.chmod(0o755)
    monkeypatch.setitem(process_module.ENVIRONMENT, "PATH", f"{git.parent}:/usr/bin:/bin")
    with pytest.raises(ToolError, match="out of order"):
        call(root, "patch_dry_run", patch=PATCH)


def test_a_fix_is_taken_back_once_however_often_that_is_asked(root: Path) -> None:
    original = listing(root)
    (root / "calc.py").write_text("def one():\n    return 1\n")
    assert "1 files" in call(root, "undo_fix", applied=PATCH)["text"]
    assert listing(root) == original
    assert "before" in call(root, "undo_fix", applied=PATCH)["text"]
    assert listing(root) == original
    assert call(root, "undo_fix", applied="")["text"] == "nothing had been applied"


def test_a_fix_whose_files_changed_since_is_left_alone(root: Path) -> None:
    (root / "calc.py").write_text("def one():\n    return 'rewritten'\n")
    with pytest.raises(ToolError, match="changed since"):
        call(root, "undo_fix", applied=PATCH)
    assert "rewritten" in (root / "calc.py").read_text()
