"""The project's own search, for machines without ripgrep. Runs as a script in a process of its own, standard library only.

One argument, a JSON object: `root` (descriptor of the working root, inherited), `start` (path below it, without links),
`patterns` (regular expressions), `skipped` (folder names), and the limits `files`, `file_bytes`, `file_lines`, `lines`.
Writes JSON lines: `[pattern index, path, line number, text]` for every match, at the end a summary.

Every folder and file is opened relative to its folder's handle without following links, so nothing outside can be read.
Honours .gitignore files, passes over hidden and binary files, as ripgrep does.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from typing import Any

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_MAX_IGNORE_BYTES = 256 * 1024


@dataclass(frozen=True)
class Rule:
    """One line of a .gitignore: what it matches below the folder `base` ("" or "a/b/"), and which way."""

    base: str
    matches: re.Pattern[str]
    negated: bool
    folders_only: bool


def parse_ignore(text: str, base: str) -> list[Rule]:
    """The rules of one .gitignore file."""
    rules = []
    for line in text.splitlines():
        pattern = line.rstrip()
        if not pattern or pattern.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = pattern.removeprefix("!").removeprefix("\\")
        folders_only = pattern.endswith("/")
        pattern = pattern.rstrip("/")
        anchored = "/" in pattern
        source = ("" if anchored else "(?:.*/)?") + _glob(pattern.removeprefix("/"))
        try:
            rules.append(Rule(base, re.compile(source), negated, folders_only))
        except re.error:
            continue  # git ignores a broken pattern too
    return rules


def _glob(pattern: str) -> str:
    source, position = "", 0
    while position < len(pattern):
        if pattern.startswith("**/", position):
            source, position = source + "(?:.*/)?", position + 3
        elif pattern.startswith("**", position):
            source, position = source + ".*", position + 2
        elif pattern[position] == "*":
            source, position = source + "[^/]*", position + 1
        elif pattern[position] == "?":
            source, position = source + "[^/]", position + 1
        elif pattern[position] == "[" and "]" in pattern[position + 2 :]:
            end = pattern.index("]", position + 2)
            inner = pattern[position + 1 : end].replace("\\", "\\\\")
            source, position = f"{source}[{'^' + inner[1:] if inner.startswith('!') else inner}]", end + 1
        else:
            source, position = source + re.escape(pattern[position]), position + 1
    return source


def is_ignored(path: str, *, folder: bool, rules: list[Rule]) -> bool:
    """Whether the last rule that matches a path ignores it."""
    for rule in reversed(rules):
        if path.startswith(rule.base) and (folder or not rule.folders_only) and rule.matches.fullmatch(path[len(rule.base) :]):
            return not rule.negated
    return False


class Search:
    """One search; writes matches as it finds them and stops at its limits."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.patterns = [re.compile(pattern, re.IGNORECASE) for pattern in request["patterns"]]
        self.skipped = frozenset(request["skipped"])
        self.files_left: int = request["files"]
        self.file_bytes: int = request["file_bytes"]
        self.file_lines: int = request["file_lines"]
        self.lines_left: list[int] = [request["lines"]] * len(self.patterns)
        self.files = 0
        self.cut = False

    def run(self, root: int, start: str) -> None:
        """Search below `start`, having read the .gitignore files on the way there."""
        rules: list[Rule] = []
        folder, base = os.dup(root), ""
        parts = [part for part in start.split("/") if part not in ("", ".")]
        for part in parts:
            rules = self._rules(folder, base, rules)
            handle = os.open(part, _OPEN, dir_fd=folder)
            if not stat.S_ISDIR(os.fstat(handle).st_mode):
                self._file(handle, base + part)
                return
            os.close(folder)
            folder, base = handle, f"{base}{part}/"
        self._folder(folder, base, rules)

    def _rules(self, folder: int, base: str, rules: list[Rule]) -> list[Rule]:
        try:
            handle = os.open(".gitignore", _OPEN, dir_fd=folder)
        except OSError:
            return rules
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return rules
            return rules + parse_ignore(file.read(_MAX_IGNORE_BYTES).decode("utf-8", errors="replace"), base)

    def _folder(self, folder: int, base: str, rules: list[Rule]) -> None:
        """Search a folder and what is below it; closes its handle."""
        try:
            rules = self._rules(folder, base, rules)
            for name in sorted(os.listdir(folder)):
                if self.cut:
                    return
                if not name.startswith("."):
                    self._entry(folder, name, base, rules)
        finally:
            os.close(folder)

    def _entry(self, folder: int, name: str, base: str, rules: list[Rule]) -> None:
        try:
            name.encode("utf-8")  # a name that is no text can be neither shown nor asked for
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            is_folder = stat.S_ISDIR(mode)
            skipped = is_folder and (name in self.skipped or name.endswith(".egg-info"))
            if not (is_folder or stat.S_ISREG(mode)) or skipped or is_ignored(base + name, folder=is_folder, rules=rules):
                return
            handle = os.open(name, _OPEN, dir_fd=folder)
        except (OSError, UnicodeEncodeError):
            return  # gone, a link by now, or not to be read: as if it were not there
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            self._folder(handle, f"{base}{name}/", rules)
        else:
            self._file(handle, base + name)

    def _file(self, handle: int, path: str) -> None:
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_size > self.file_bytes:
                return
            content = file.read(self.file_bytes)
        if b"\0" in content[:8192]:
            return
        self.files += 1
        self.files_left -= 1
        self.cut = self.files_left <= 0
        text = content.decode("utf-8", errors="replace")
        for index, pattern in enumerate(self.patterns):
            if self.lines_left[index] > 0 and pattern.search(text):
                self._lines(index, pattern, path, text)

    def _lines(self, index: int, pattern: re.Pattern[str], path: str, text: str) -> None:
        found = 0
        for number, line in enumerate(text.split("\n"), start=1):
            if pattern.search(line):
                sys.stdout.write(json.dumps([index, path, number, line.strip()[:300]]) + "\n")
                found += 1
                self.lines_left[index] -= 1
                if found >= self.file_lines or self.lines_left[index] <= 0:
                    return


def main() -> None:
    """Run the request in the first argument."""
    request = json.loads(sys.argv[1])
    search = Search(request)
    sys.setrecursionlimit(10_000)
    search.run(request["root"], request["start"])
    sys.stdout.write(json.dumps({"files": search.files, "cut": search.cut or min(search.lines_left) <= 0}) + "\n")


if __name__ == "__main__":
    main()
