"""Which file with matches is the most useful: the one named or defining what was asked for, then prose, code, tests, data.

Scores are small whole numbers, so that the order is the same on every machine; ties go to the shallower path, then by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from builderbrain.tools.phrase import words_of

_DEFINITION = re.compile(r"\s*(?:async\s+)?(?:def|class|fn|func|function|struct|enum|trait|interface|type|const|#define)\b")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|=+\s|\"\"\")")
_QUOTED = re.compile(r"""(?<!")"(?!")|(?<!')'(?![a-z'])""")
"""A line with a string literal in it mentions the phrase more often than it is about it."""
_DATA = frozenset({".json", ".jsonl", ".csv", ".tsv", ".lock", ".svg", ".ebnf", ".map", ".min", ".log", ".ipynb"})
_NEWS = frozenset({"changelog", "log", "history", "news", "authors"})
_TEST_FOLDERS = frozenset({"test", "tests", "testing", "golden", "fixtures", "data", "benchmarks", "examples", "_generated"})


@dataclass
class FileMatches:
    """Matching lines of one file, by line number."""

    path: str
    lines: list[tuple[int, str]] = field(default_factory=list)


def ranked(files: Sequence[FileMatches], phrase: str) -> list[FileMatches]:
    """The files, most useful first."""
    words = frozenset(words_of(phrase))
    return sorted(files, key=lambda file: (-_score(file, words), file.path.count("/"), file.path))


def _score(file: FileMatches, words: frozenset[str]) -> int:
    path = PurePosixPath(file.path)
    named = frozenset(words_of(file.path.replace("/", " ")))
    about = sum(not _QUOTED.search(text) for _, text in file.lines)
    score = min(about, 8) if about else -6
    score += 6 * sum(word in named or word.removesuffix("s") in named for word in words) // max(len(words), 1)
    if any(_DEFINITION.match(text) for _, text in file.lines):
        score += 8
    elif any(_HEADING.match(text) for _, text in file.lines):
        score += 6
    stem = path.stem.lower()
    if _TEST_FOLDERS.intersection(path.parts[:-1]) or stem.startswith("test_") or stem.endswith("_test"):
        score -= 30
    if path.suffix.lower() in _DATA:
        score -= 40
    if stem in _NEWS:
        score -= 10
    return score
