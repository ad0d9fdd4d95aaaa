"""Every error is classed: in the table of docs/errors.md, in replies, in traces, and in `/metrics`."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from builderbrain import errors
from builderbrain.agent.trace import TraceEntry
from builderbrain.errors.base import ErrorClass, Recovery
from builderbrain.errors.codes import CODES_WITHOUT_A_CLASS
from builderbrain.serve.replies import error_body, status_of
from tests.agent.workshop import Effects
from tests.serve.test_plan_runs import desk, metric, shop

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
KNOWN = [kind for kind in errors.known_errors() if kind.__module__.startswith("builderbrain.errors.")]


def row(name: str, code: str, classed: errors.Classification, status: int | str) -> str:
    return f"| {name} | `{code}` | {classed.error_class} | {classed.severity} | {classed.recovery} | {status} |"


def test_the_page_lists_every_error_as_the_code_has_it() -> None:
    wanted = [row(f"`{kind.__name__}`", kind.code, kind.classification, status_of(kind)) for kind in KNOWN]
    wanted += [row("", code, classed, "") for code, classed in CODES_WITHOUT_A_CLASS.items()]
    found = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == 7 and "`code`" not in line]
    assert found == wanted, "write these rows:\n" + "\n".join(wanted)


def test_the_page_says_what_each_recovery_is() -> None:
    for name, said in errors.RECOVERIES.items():
        assert f"| `{name}` | {said} |" in PAGE
    assert set(errors.RECOVERIES) == set(get_args(Recovery))
    assert {kind.classification.error_class for kind in KNOWN} == set(get_args(ErrorClass))
    assert {kind.classification.severity for kind in KNOWN} == set(errors.SEVERITIES)


def test_every_error_that_is_exported_is_classed_and_has_a_code_of_its_own() -> None:
    exported = {name for name in errors.__all__ if name.endswith("Error")}
    assert exported == {kind.__name__ for kind in KNOWN}
    codes = [kind.code for kind in KNOWN]
    assert {code for code in codes if codes.count(code) > 1} == {"model_not_found"}


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: kind.__name__)
def test_a_code_leads_to_its_class_and_the_worse_of_two(kind: type[errors.BuilderBrainError]) -> None:
    found = errors.classify(kind.code)
    wanted = errors.ModelNotFoundError if kind is errors.UnknownModelError else kind
    assert found == wanted.classification
    assert errors.classify("never heard of") == errors.classify("internal")


def test_a_reply_says_how_its_error_is_classed() -> None:
    body = error_body(errors.MaskEmptyError("no token is legal"), "req-1")["error"]
    assert (body["error_class"], body["severity"], body["recovery"]) == ("grammar", "medium", "correct")
    body = error_body(ZeroDivisionError(), "req-1")["error"]
    assert (body["code"], body["error_class"], body["severity"], body["recovery"]) == (
        "internal",
        "integration",
        "high",
        "operate",
    )


def test_a_step_says_how_its_failure_is_classed() -> None:
    made = {"id": "s1", "skill": "look", "args": {}, "output": None, "seconds": 0.0}
    failed = TraceEntry(**made, status="failed", error="gone", error_code="tool_timeout").to_json()
    assert (failed["error_class"], failed["severity"], failed["recovery"]) == ("integration", "medium", "fallback")
    done = TraceEntry(**made, status="done").to_json()
    assert (done["error_class"], done["severity"], done["recovery"]) == (None, None, None)


def test_errors_are_counted_where_they_show(tree: Path, tmp_path: Path) -> None:
    tools = Effects(tmp_path / "effects", fail={"look": errors.ToolTimeoutError("too slow")}).tools
    with desk(tree, tools=tools) as http:
        reply = http.post("/v1/plans/run", json=shop({"skill": "look"}, grant=[]))
        assert reply.json()["steps"][0]["error_class"] == "integration"
        (attempt,) = [event for event in reply.json()["journal"] if event["event"] == "attempt"]
        assert (attempt["error_code"], attempt["severity"]) == ("tool_timeout", "medium")
        assert metric(http, "bb:errors_total", 'where="step"', 'severity="medium"', 'code="tool_timeout"') == 1
        assert http.post("/v1/plans/run", content="{").json()["error"]["error_class"] == "integration"
        assert metric(http, "bb:errors_total", 'where="reply"', 'error_class="integration"', 'code="invalid_request"') == 1
        assert http.get("/nowhere").json()["error"]["recovery"] == "correct"
        big = http.post("/v1/plans/run", content=b" " * (5 << 20))
        assert big.json()["error"]["severity"] == "low"
        assert metric(http, "bb:errors_total", 'where="reply"', 'code="body_too_large"') == 1
