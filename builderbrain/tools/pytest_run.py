"""A run of pytest in the sandbox, from its start to what it found. The interpreter is the one that runs this project.

A run is of tests that nobody vetted: whatever they do to their process, they get no further than the sandbox, and what they
make it say is read as data of exactly one form.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builderbrain.errors import ToolError
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.root import WorkingRoot
from builderbrain.tools.sandbox.confinement import PROCESSORS, Confinement

MAX_EVENTS = 200
MAX_OUTPUT_BYTES = 8 * 1024 * 1024
SHOWN_FAILURES = 20
_WORKER = Path(__file__).with_name("pytest_worker.py")
_INTERRUPTED, _INTERNAL, _USAGE, _NO_TESTS = 2, 3, 4, 5


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Suggestion(_Form):
    """A name that is misspelt, where it stands, and the nearest one that exists."""

    path: Annotated[str, Field(min_length=1, max_length=1024)]
    line: Annotated[int, Field(ge=1)]
    wrong: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    right: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]


class Failure(_Form):
    """One test that failed, or one file that could not be collected."""

    test: Annotated[str, Field(max_length=4096)]
    message: Annotated[str, Field(max_length=400)]
    line: int
    suggestion: Suggestion | None

    @property
    def path(self) -> str:
        """The file that it is in."""
        return self.test.partition("::")[0]


class _Summary(_Form):
    status: int
    passed: list[str]
    count: int
    skipped: int
    failures: list[Failure]


@dataclass(frozen=True, kw_only=True)
class TestRun:
    """What a run found. `passed` are ids of tests, `skipped` a number."""

    __test__ = False

    passed: frozenset[str]
    skipped: int
    failures: tuple[Failure, ...]

    @property
    def count(self) -> int:
        """Tests that ran."""
        return len(self.passed) + len(self.failures)

    @property
    def ok(self) -> bool:
        """Whether there were tests and none failed."""
        return bool(self.passed) and not self.failures

    @property
    def paths(self) -> list[str]:
        """Files with failures, in the order of the run."""
        return list(dict.fromkeys(failure.path for failure in self.failures))

    def text(self, noun: str) -> str:
        """Counts, then the failures."""
        lines = [f"{len(self.passed)} {noun} passed, {len(self.failures)} failed, {self.skipped} skipped"]
        lines += [f"{one.test}: {one.message}" for one in self.failures[:SHOWN_FAILURES]]
        if len(self.failures) > SHOWN_FAILURES:
            lines.append(f"[{SHOWN_FAILURES} of {len(self.failures)} failures shown]")
        return "\n".join(lines)


def existing_path(root: WorkingRoot, path: str) -> str:
    """A path of the root as an argument of a program: it is there, and begins with `./`, so that it is no option.

    Raises:
        ToolError, PathEscapeError: as `WorkingRoot.open`.
    """
    with root.open(path) as opened:
        return "." if opened.path == "." else f"./{opened.path}"


async def run_pytest(path: str, confinement: Confinement, *, timeout_seconds: float, marker: str = "") -> TestRun:
    """Run the tests below a path of the confinement's root.

    Args:
        path: as `existing_path` gives it.
        marker: marker that tests must have; "" for all.

    Raises:
        ToolError: pytest is missing, cannot run these tests, or its process broke.
        ToolTimeoutError: it ran too long.
    """
    request = json.dumps({"path": path, "marker": marker, "events": MAX_EVENTS})
    finished = await run_process(
        [sys.executable, "-I", "-B", str(_WORKER), request],
        folder=str(confinement.root),
        timeout_seconds=timeout_seconds,
        max_output_bytes=MAX_OUTPUT_BYTES,
        confinement=replace(confinement, reads=(*confinement.reads, *PROCESSORS)),
    )
    summary = _summary(finished)
    if summary.status in (_INTERNAL, _USAGE) or (summary.status == _INTERRUPTED and not summary.failures):
        raise ToolError(f"pytest could not run these tests: {_last_lines(finished)}")
    return TestRun(passed=frozenset(summary.passed), skipped=summary.skipped, failures=tuple(summary.failures))


def _summary(finished: Finished) -> _Summary:
    if finished.cut:
        raise ToolError(f"the test process wrote more than {MAX_OUTPUT_BYTES} bytes and was stopped")
    try:
        decoded = json.loads(finished.output)
    except (ValueError, RecursionError):
        decoded = None
    if finished.status != 0 or not isinstance(decoded, dict):
        raise ToolError(f"the test process ended with status {finished.status} and no result: {_last_lines(finished)}")
    if decoded == {"missing": "pytest"}:
        raise ToolError("pytest is not installed where this server runs; install it there (pip install pytest)")
    try:
        return _Summary.model_validate(decoded)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ToolError(f"the test process gave a result of another form ({where}: {first['msg']})") from None


def _last_lines(finished: Finished) -> str:
    lines: Sequence[str] = finished.error.decode("utf-8", errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:])[:400] or "it said nothing"
