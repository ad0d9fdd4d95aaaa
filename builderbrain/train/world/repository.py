"""Requests of `repo_assistant` over real files: where is a function defined? The project's own tools answer.

A session has one folder of small Python files. For each request a function is defined in the file the person names, in another,
in several or in none, and nothing but the tools tells. They are as imperfect as they are: `list` sees names of files and
not what is in them, `read` one file, and `search` also what an old note says was defined once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from builderbrain.agent.executor import WorkingRoot, execute
from builderbrain.plan import Plan, Step, checked
from builderbrain.train.names import WORDS
from builderbrain.train.world.situations import CUE_TEXTS, Answer, Circumstance

DOMAIN = "repo_assistant"
FOLDERS = ("src", "lib", "tools")
FILES_PER_FOLDER = 4
HINT_EXISTS = {"as_said": 1.0, "otherwise": 0.5, "several": 0.7, "absent": 0.3}
"""Chance by kind that the file which the person names is there."""
STALE_NOTE = 0.1
"""Chance that notes still tell of a definition."""


class RepositoryRequest:
    """Where is `function` defined? `hint` is the file that the person names."""

    def __init__(self, circumstance: Circumstance, function: str, hint: str, root: WorkingRoot) -> None:
        self.cue, self.kind, self.hint = circumstance.cue, circumstance.kind, hint
        self.function, self._root = function, root
        self.text = CUE_TEXTS[self.cue].format(ask=f"Where is {function} defined?", hint=f"in {hint}")
        self._answers: dict[str, Answer] = {}

    def look_up(self, tool: str) -> Answer:
        """`list` the folder of the hint, `read` the hint, or `search` everywhere."""
        if tool not in self._answers:
            self._answers[tool] = self._ask(tool)
        return self._answers[tool]

    def _ask(self, tool: str) -> Answer:
        definition = f"def {self.function}"
        args: dict[str, dict[str, Any]] = {
            "list": {"path": self.hint.rpartition("/")[0]},
            "read": {"path": self.hint},
            "search": {"pattern": definition},
        }
        entry = execute(checked(Plan(DOMAIN, 1, (Step("s1", tool, args[tool]),))), self._root)[0]
        if not entry.ok or entry.output is None:
            return Answer(args=args[tool], result={"error": entry.error}, found=None)
        if tool == "list":  # files that are called like the function
            parts = set(self.function.split("_"))
            found = tuple(path for path in entry.output["paths"] if parts & set(Path(path).stem.split("_")))
        elif tool == "read":
            found = (entry.output["path"],) if definition in entry.output["text"] else ()
        else:
            found = tuple(entry.output["paths"])
        return Answer(args=args[tool], result=dict(entry.output), found=found)


class RepositorySession(AbstractContextManager["RepositorySession"]):
    """A folder with the files of all requests of a session; gone when closed."""

    def __init__(self, circumstances: Sequence[Circumstance], rng: random.Random) -> None:
        self._folder = TemporaryDirectory(prefix="builderbrain-session-")
        root = WorkingRoot(Path(self._folder.name))
        words = iter(rng.sample(WORDS, 2 * len(circumstances) + len(FOLDERS) * FILES_PER_FOLDER))
        files: dict[str, list[str]] = {f"{folder}/{next(words)}.py": [] for folder in FOLDERS for _ in range(FILES_PER_FOLDER)}
        others, notes = list(files), []
        self.requests: list[RepositoryRequest] = []
        for circumstance in circumstances:
            subject = next(words)
            function, hint = f"{subject}_{next(words)}", f"{rng.choice(FOLDERS)}/{subject}.py"
            places = {
                "as_said": [hint],
                "otherwise": rng.sample(others, 1),
                "several": rng.sample(others, rng.choice((2, 3))),
                "absent": [],
            }[circumstance.kind]
            if rng.random() < HINT_EXISTS[circumstance.kind]:
                files.setdefault(hint, [])
            for place in places:
                files.setdefault(place, []).append(function)
            if rng.random() < STALE_NOTE:
                notes.append(f"- def {function} was moved once")
            self.requests.append(RepositoryRequest(circumstance, function, hint, root))
        texts = {
            path: "".join(f"def {name}(value):\n    return value\n\n\n" for name in names) for path, names in files.items()
        }
        for path, text in {**texts, **({"notes.md": "\n".join(notes)} if notes else {})}.items():
            target = Path(self._folder.name) / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text or '"""Nothing here yet."""\n', encoding="utf-8")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._folder.cleanup()
