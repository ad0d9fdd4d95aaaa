"""What is kept of live traffic: a row for each goal, scrubbed of personal data before it is written, and one for each outcome.

    {"kind": "goal", "id": "trc_...", "at": 1764460800, "source": "6f0c...", "version": "...", "accepted": true, "known_as":
    [...],
     "trace": {...}}                                       # a trace of docs/traces.md
    {"kind": "outcome", "id": "trc_...", "at": ..., "source": "...", "right": false, "plan": {...}}

`source` tells callers apart and names none: it is a keyed hash of the key's number or the address. A goal counts for training
once somebody has said how it turned out, see `examples`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builderbrain.data import Message, ToolCall, Trace, trace_from_json, trace_to_json
from builderbrain.data.scrub import Scrubber
from builderbrain.data.trace import content_hash
from builderbrain.errors import DataError, InvalidRequestError, OutputError, PlanSyntaxError
from builderbrain.learn.trace_log import MAX_ROW_BYTES, TraceLog
from builderbrain.plan import Plan, check, plan_to_json
from builderbrain.plan.json_form import plan_from_json
from builderbrain.serve.attached import GoalAnswered

REMEMBERED = 20_000
"""Goals whose outcome may still be told; older ones are forgotten, though their rows stay."""
MAX_RESULT_BYTES = MAX_ROW_BYTES // 2


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request with the plan that is right for it, by somebody's word.

    Args:
        source: who asked, or who corrected the plan where `corrected`.
        order: counts the outcomes of the log.
    """

    id: str
    source: str
    domain: str
    text: str
    plan: Plan
    corrected: bool
    order: int


class Traces:
    """Goals and outcomes of one server, written to a log.

    Args:
        key: what sources are hashed with.
    """

    def __init__(self, log: TraceLog, key: bytes) -> None:
        self.log = log
        self.kept = self.refused = self.outcomes = 0
        self._key = key
        self._known: OrderedDict[str, tuple[str, str]] = OrderedDict()  # by every id: the trace's, its domain
        self._lock = threading.Lock()
        for row in log.rows():
            if row.get("kind") == "goal":
                self._remember(row["id"], row["trace"]["domain"], row["known_as"])

    def goal(self, served: GoalAnswered) -> str | None:
        """Write down a goal; the id of its trace, None where that could not be."""
        identifier = f"trc_{secrets.token_hex(12)}"
        deferral = served.result.deferral
        known_as = [] if deferral is None else [deferral.id]
        try:
            trace = _scrubbed(trace_to_json(_trace_of(identifier, served)))
        except DataError:
            self.refused += 1
            return None
        row = {
            "kind": "goal",
            "id": identifier,
            "at": int(time.time()),
            "source": self.source(served.caller),
            "version": served.result.weight_version,
            "accepted": served.result.verdict.accepted,
            "known_as": known_as,
            "trace": trace,
        }
        try:
            self.log.append(row)
        except OutputError:
            self.refused += 1
            return None
        self.kept += 1
        self._remember(identifier, trace["domain"], known_as)
        return identifier

    def outcome(self, identifier: str, *, right: bool, caller: str, plan: Plan | None = None) -> str | None:
        """Write down how a goal turned out, durably, with the plan that would have been right where somebody knows it.

        Returns the domain, None where no such goal is known.

        Raises:
            InvalidRequestError: the plan is of another domain or the checker refuses it.
            OutputError: it could not be written.
        """
        with self._lock:
            found = self._known.get(identifier)
        if found is None:
            return None
        trace, domain = found
        if plan is not None:
            plan = _checked(plan, domain)
        row = {
            "kind": "outcome",
            "id": trace,
            "at": int(time.time()),
            "source": self.source(caller),
            "right": right,
            "plan": None if plan is None else Scrubber().row({"plan": plan_to_json(plan)})["plan"],
        }
        self.log.append(row, durable=True)
        self.outcomes += 1
        return domain

    def source(self, caller: str) -> str:
        """What callers are told apart by."""
        return hmac.new(self._key, caller.encode(), hashlib.sha256).hexdigest()[:16]

    def examples(self) -> list[Example]:
        """Every request whose right plan is known, in the order in which that was said.

        A plan is right that was accepted, run and called right by somebody and wrong by nobody; or that somebody put in its
        place, and then the last one counts.
        """
        goals: dict[str, dict[str, Any]] = {}
        said: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for order, row in enumerate(self.log.rows()):
            if row.get("kind") == "goal":
                goals[row["id"]] = row
            elif row.get("kind") == "outcome":
                said.setdefault(row["id"], []).append((order, row))
        found = [_example(goals[name], told) for name, told in said.items() if name in goals]
        return sorted((example for example in found if example is not None), key=lambda example: example.order)

    def _remember(self, identifier: str, domain: str, known_as: list[str]) -> None:
        with self._lock:
            for name in (identifier, *known_as):
                self._known[name] = (identifier, domain)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def _trace_of(identifier: str, served: GoalAnswered) -> Trace:
    plan = served.result.plan
    calls = tuple(
        ToolCall(
            id=entry.id,
            tool=entry.skill,
            args=entry.args,
            result=None if entry.output is None else dict(entry.output),
            ok=entry.ok,
        )
        for entry in served.result.trace
        if entry.attempts
    )
    return Trace(
        id=identifier,
        domain="repo_assistant" if plan is None else plan.domain,
        messages=(Message(role="user", content=served.goal), Message(role="assistant", content=served.result.answer)),
        calls=calls,
        plan=plan,
        plan_source=None if plan is None else "given",
    )


def _scrubbed(row: dict[str, Any]) -> dict[str, Any]:
    """The row without personal data, and without results where they are too long.

    Raises:
        DataError: what is left is no trace.
    """
    clean = Scrubber().row({key: value for key, value in row.items() if key != "sha256"})
    if sum(len(str(call.get("result", ""))) for call in clean.get("calls", ())) > MAX_RESULT_BYTES:
        for call in clean["calls"]:
            call["result"] = "left out: too long"
    clean["sha256"] = content_hash(clean)
    trace_from_json(clean)
    return clean


def _checked(plan: Plan, domain: str) -> Plan:
    if plan.domain != domain:
        raise InvalidRequestError(f"plan.domain: expected {domain}, that of the goal, got {plan.domain}", field="plan.domain")
    verdict = check(plan)
    if not verdict.accepted:
        raise InvalidRequestError(f"plan: the checker refuses it: {verdict.faults[0].message}", field="plan")
    return plan


def _example(goal: Mapping[str, Any], told: list[tuple[int, dict[str, Any]]]) -> Example | None:
    trace = trace_from_json(goal["trace"])
    corrections = [(order, row) for order, row in told if row["plan"] is not None]
    if corrections:
        order, row = corrections[-1]
        try:
            plan = plan_from_json(row["plan"])
        except PlanSyntaxError:
            return None
        source, corrected = row["source"], True
    else:
        if trace.plan is None or not goal["accepted"] or not all(row["right"] for _, row in told):
            return None
        plan, source, corrected, order = trace.plan, goal["source"], False, told[-1][0]
    return Example(
        id=goal["id"],
        source=source,
        domain=trace.domain,
        text=trace.request,
        plan=plan,
        corrected=corrected,
        order=order,
    )
