"""A small domain with every kind of effect, and tools whose effects are lines of a file that survive a killed process."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from builderbrain.errors import ToolError
from builderbrain.plan import CheckedPlan, checked, plan_from_json
from builderbrain.plan._generated import DOMAINS
from builderbrain.plan.domain import Domain, Fact, Resource
from builderbrain.plan.generate_checker import checker_source
from builderbrain.plan.schema import parse_schema
from builderbrain.tools.base import Tool, ToolContext

ALL = frozenset({"read_only", "mutating", "meta"})

_SCHEMA = """
language: 1
domain: workshop
version: 1
summary: A workshop with a till.
limits: {max_steps: 32, max_depth: 16, max_width: 16}
edges: {data: any, condition: any, sequence: any}
skills:
  look:
    {summary: Looks., safety: read_only, timeout_seconds: 5, arguments: {at: {type: string, default: here}},
     results: {text: text}}
  inspect: {summary: Inspects., safety: read_only, timeout_seconds: 5, results: {text: text}}
  reserve:
    {summary: Reserves., safety: mutating, timeout_seconds: 5, arguments: {item: {type: string, required: true}},
     results: {item: string, ticket: string}}
  release: {summary: Releases., safety: mutating, timeout_seconds: 5, arguments: {ticket: {type: string, required: true}}}
  pay:
    {summary: Pays., safety: mutating, timeout_seconds: 5, arguments: {amount: {type: integer, required: true}},
     results: {receipt: string}}
  refund:
    {summary: Refunds., safety: mutating, timeout_seconds: 5,
     arguments: {amount: {type: integer, required: true}, receipt: {type: string}}}
  send: {summary: Sends., safety: mutating, timeout_seconds: 5, arguments: {text: {type: string, default: hello}}}
  write: {summary: Writes., safety: mutating, timeout_seconds: 5, arguments: {text: {type: string, default: hello}}}
  weld: {summary: Welds., safety: mutating, timeout_seconds: 5}
  paint: {summary: Paints., safety: mutating, timeout_seconds: 5}
  halt: {summary: Halts., safety: mutating, timeout_seconds: 5}
"""

_MORE: dict[str, dict[str, Any]] = {
    "look": {"retry_attempts": 5, "retry_wait_seconds": 1.0, "cache_seconds": 60.0},
    "inspect": {"critical": True},
    "reserve": {"undo": "release"},
    "release": {"idempotent": True, "retry_attempts": 3},
    "pay": {"undo": "refund", "critical": True},
    "send": {"irreversible": True},
    "write": {"idempotent": True, "retry_attempts": 4, "uses": ("disk",)},
    "weld": {"uses": ("arm",), "requires": {"door": frozenset({"closed"})}, "sets": {"door": "open"}, "irreversible": True},
    "paint": {"fallback": "halt", "confirm": True, "irreversible": True},
    "halt": {"idempotent": True, "fallback": "write"},
}


def workshop() -> Domain:
    """The domain, registered under its name so that the checker finds it."""
    known = DOMAINS.get(("workshop", 1))
    if known is not None:
        return known
    module = ModuleType("workshop_v1")
    exec(checker_source(parse_schema(_SCHEMA), "0" * 64), module.__dict__)  # generated from the text above
    domain: Domain = module.DOMAIN
    skills = {name: replace(skill, **_MORE.get(name, {})) for name, skill in domain.skills.items()}
    made = replace(
        domain,
        skills=skills,
        facts={"door": Fact(values=("open", "closed"), initial="closed")},
        resources={"arm": Resource(fixed_order=True), "disk": Resource(fixed_order=False, capacity=1)},
    )
    DOMAINS["workshop", 1] = made
    return made


def plan_of(*steps: Mapping[str, Any] | str, granted: frozenset[str] = ALL) -> CheckedPlan:
    """A checked plan of the workshop. A step is a skill's name, or JSON without its id; ids go by position."""
    workshop()
    written = [{"id": f"s{at}", **({"skill": step} if isinstance(step, str) else step)} for at, step in enumerate(steps, 1)]
    for step in written:
        step.setdefault("args", {})
    return checked(plan_from_json({"domain": "workshop", "version": 1, "steps": written}), granted=granted)


RESULTS: dict[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
    "reserve": lambda arguments, key: {"item": arguments["item"], "ticket": f"ticket-{key[:6]}"},
    "pay": lambda arguments, key: {"receipt": f"receipt-{key[:6]}"},
}


class Effects:
    """Tools whose every effect is a line `skill key` of a file, on disk before the tool returns.

    Args:
        fail: error by skill, raised before anything is done.
        point: called before and after every effect.
    """

    def __init__(
        self, path: Path, *, fail: Mapping[str, Exception] | None = None, point: Callable[[str], None] = lambda _: None
    ) -> None:
        self.path = path
        self.fail = dict(fail or {})
        self.point = point
        self.arguments: list[tuple[str, dict[str, Any]]] = []
        self.tools = {skill: self._tool(skill) for skill in workshop().skills}

    def lines(self) -> list[tuple[str, str]]:
        """(skill, key) of every effect, in order."""
        if not self.path.exists():
            return []
        return [(line.split()[0], line.split()[1]) for line in self.path.read_text().splitlines()]

    def counts(self) -> Counter[str]:
        """Effects by skill."""
        return Counter(skill for skill, _ in self.lines())

    def _tool(self, skill: str) -> Tool:
        async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
            self.arguments.append((skill, dict(arguments)))
            if skill in self.fail:
                raise self.fail[skill]
            if context.key is None:
                return {"text": skill}
            self.point(f"before the effect of {skill}")
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(handle, f"{skill} {context.key}\n".encode())
            os.fsync(handle)
            os.close(handle)
            self.point(f"after the effect of {skill}")
            return RESULTS[skill](arguments, context.key) if skill in RESULTS else {}

        async def was_done(context: ToolContext, arguments: Mapping[str, Any]) -> Mapping[str, Any] | None:
            if context.key is None:
                raise ToolError("no key")
            if (skill, context.key) not in self.lines():
                return None
            return RESULTS[skill](arguments, context.key) if skill in RESULTS else {}

        asked = skill in ("reserve", "pay", "refund")
        return Tool(skill=skill, run=run, was_done=was_done if asked else None)
