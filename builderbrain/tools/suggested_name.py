"""A strategy to mend tests: where a name is misspelt, the nearest name that exists takes its place, on that line alone.

It knows nothing of what the code is for. It helps with a typing error or a half-done renaming, and says so when it cannot.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from builderbrain.errors import BuilderBrainError
from builderbrain.tools.pytest_run import Suggestion
from builderbrain.tools.root import WorkingRoot

MAX_FILE_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One file before and after."""

    path: str
    before: str
    after: str

    def diff(self) -> str:
        """As a unified diff; both texts end with a newline."""
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        return "".join(difflib.unified_diff(before, after, f"a/{self.path}", f"b/{self.path}"))


def edit_for(suggestion: Suggestion, folder: Path) -> Edit | None:
    """What a suggestion makes of its file below a folder; None when the file or the line is not as it says."""
    try:
        with WorkingRoot(folder).open(suggestion.path) as opened:
            if not opened.is_file or opened.status.st_size > MAX_FILE_BYTES or not opened.path.endswith(".py"):
                return None
            with open(opened.descriptor, "rb", closefd=False) as file:
                text = file.read(MAX_FILE_BYTES).decode("utf-8")
            path = opened.path
    except (BuilderBrainError, UnicodeDecodeError):
        return None
    lines = text.split("\n")
    if "\r" in text or lines[-1] or suggestion.line > len(lines):
        return None  # a diff of it would not be plain
    place = suggestion.line - 1
    word = re.compile(rf"(?<![\w]){re.escape(suggestion.wrong)}(?![\w])")
    lines[place] = word.sub(suggestion.right, lines[place])
    after = "\n".join(lines)
    return None if after == text else Edit(path=path, before=text, after=after)
