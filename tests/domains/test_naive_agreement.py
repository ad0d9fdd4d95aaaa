"""The independent checker of the tests says the same of every golden of the domains of the web, and of pieces of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from builderbrain.plan import check
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.schema import load_schema
from tests.plan.conftest import ROOT
from tests.plan.naive_checker import accepts, edges_of
from tests.plan.naive_runs import effect_faults

DOMAINS = ("api_json", "ui_macro", "chat_social")
MAXIMUM_STEPS = 6
"""The independent checker tries every run, so longer plans take it too long."""


def plans(domain: str) -> list[dict[str, Any]]:
    """Every golden, and each with one step left out."""
    found = []
    for path in sorted((ROOT / "schemas" / "golden" / f"{domain}.v1").glob("*/*.json")):
        plan = json.loads(path.read_text(encoding="utf-8"))["plan"]
        steps = plan["steps"]
        found.append(plan)
        found += [{**plan, "steps": [*steps[:at], *steps[at + 1 :]]} for at in range(len(steps))]
        found += [
            {**plan, "steps": [{**step, "needs": []} if at == each else step for each, step in enumerate(steps)]}
            for at in range(len(steps))
        ]
    return [plan for plan in found if len(plan["steps"]) <= MAXIMUM_STEPS]


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_independent_checker_agrees(domain: str) -> None:
    schema = load_schema(ROOT / "schemas" / f"{domain}.v1.yaml")
    verdicts = set()
    for plan in plans(domain):
        expected = accepts(schema, plan) and not effect_faults(schema, plan, edges_of(schema, plan) or [])
        got = check(plan, granted=frozenset(SAFETY_LEVELS)).accepted
        assert got == expected, plan
        verdicts.add(got)
    assert verdicts == {True, False}
