"""Runs pytest in a process of its own and writes what came of it as one line of JSON on standard output.

The argument is JSON: `path`, `marker` ("" for all tests), `events` (failures to describe at most). Everything that tests print
goes to standard error. Standard library and pytest alone; the project's packages are not in reach.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from typing import Any

MAX_MESSAGE = 400
MAX_PASSED = 20_000
_IMPORT = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'").match


class Reporter:
    """Counts outcomes and describes failures, with the name that may have been meant where one is misspelt."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.passed: list[str] = []
        self.skipped = 0
        self.failed: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._fail(report)
        elif report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._fail(report)

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        entry = self.failed.get(report.nodeid)
        if entry is not None and call.excinfo is not None:
            entry["suggestion"] = suggestion_for(call.excinfo.value)

    def _fail(self, report: Any) -> None:
        if report.nodeid in self.failed:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        lines = str(report.longrepr).strip().splitlines() if crash is None else str(crash.message).splitlines()
        message = (lines[0] if crash is not None and lines else lines[-1] if lines else "")[:MAX_MESSAGE]
        described = len(self.failed) < self.events
        entry = {"message": message if described else "", "line": getattr(crash, "lineno", 0) or 0, "suggestion": None}
        self.failed[report.nodeid] = entry

    def summary(self, status: int) -> dict[str, Any]:
        failures = [{"test": test, **entry} for test, entry in self.failed.items()]
        passed = [test for test in self.passed if test not in self.failed]
        return {
            "status": status,
            "passed": passed[:MAX_PASSED],
            "count": len(passed),
            "skipped": self.skipped,
            "failures": failures,
        }


def suggestion_for(error: BaseException) -> dict[str, Any] | None:
    """Where a misspelt name stands and what it may have been: `path` relative to this folder, `line`, `wrong`, `right`."""
    if type(error).__name__ == "CollectError" and error.__cause__ is not None:
        error = error.__cause__
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return None
    try:
        wrong, known = misspelt(error, trace.tb_frame)
    except Exception:  # noqa: BLE001 - a test's own objects may break when they are looked at
        return None
    alike = difflib.get_close_matches(wrong, [name for name in known if name != wrong], n=1, cutoff=0.7)
    path = os.path.relpath(os.path.realpath(trace.tb_frame.f_code.co_filename))
    if not alike or path.startswith(".."):
        return None
    return {"path": path, "line": trace.tb_lineno, "wrong": wrong, "right": alike[0]}


def misspelt(error: BaseException, frame: Any) -> tuple[str, list[str]]:
    """The name that an error is about, and the names that would have been found."""
    if isinstance(error, NameError) and error.name:
        builtins = frame.f_builtins
        return error.name, [*frame.f_locals, *frame.f_globals, *builtins]
    if isinstance(error, AttributeError) and error.name:
        return error.name, [str(name) for name in dir(error.obj)]
    found = _IMPORT(str(error)) if isinstance(error, ImportError) else None
    if found is None or found[2] not in sys.modules:
        raise LookupError
    return found[1], dir(sys.modules[found[2]])


def main() -> None:
    """Run the request in the first argument."""
    request = json.loads(sys.argv[1])
    output = os.dup(1)
    os.dup2(2, 1)
    sys.path.insert(0, os.getcwd())
    try:
        import pytest
    except ImportError:
        summary: dict[str, Any] = {"missing": "pytest"}
    else:
        options = ["-q", "--tb=short", "--color=no", "--continue-on-collection-errors", "-p", "no:cacheprovider", "--rootdir=."]
        options += ["-m", request["marker"]] if request["marker"] else []
        reporter = Reporter(request["events"])
        status = pytest.main([*options, request["path"]], plugins=[reporter])
        summary = reporter.summary(int(status))
    written = (json.dumps(summary) + "\n").encode()
    while written:
        written = written[os.write(output, written) :]
    os._exit(0)  # threads that tests left behind do not keep it


if __name__ == "__main__":
    main()
