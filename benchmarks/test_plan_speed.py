"""Reading and judging plans of 16 steps. Target: at most 50 us to check one.

`LARGEST` is of `repo_assistant`, a domain without facts; `JOBS` is of `robot_cell`, where every motion requires three facts and
uses the arm, and `BRANCHES` is such a plan with eight conditions. Beside them: what finding a verdict that is kept would cost.
"""

from __future__ import annotations

import json
from typing import Any

from builderbrain.grammar.cache import BoundedCache, cache_key
from builderbrain.plan import Plan, Verdict, check, get_domain, parse_text, plan_from_json, plan_to_json
from builderbrain.plan.domain import SAFETY_LEVELS

LARGEST = "\n".join(
    f's{i}=search(pattern="promotion gate {i}")\ns{i + 1}=read(path=s{i}.first_path) if s{i}.ok' for i in range(1, 16, 2)
)
LEVELS = frozenset(SAFETY_LEVELS)


def job(first: int, condition: str = "") -> str:
    """Four steps of the cell: a part goes from the feeder to the table."""
    after = f" after s{first - 1}" if first > 1 else ""
    lines = (
        f's{first}=precheck(zone="feeder"){after}{condition}',
        f"s{first + 1}=pick(route=s{first}.route,force_n=20)",
        f's{first + 2}=precheck(zone="table") after s{first + 1}{condition}',
        f"s{first + 3}=place(route=s{first + 2}.route)",
    )
    return "\n".join(lines)


JOBS = "\n".join(job(first) for first in (1, 5, 9, 13))
BRANCHES = "\n".join(
    (
        's1=look(zone="feeder")',
        *(job(first, " if s1.part") for first in (2, 6, 10)),
        "s14=rotate(angle_deg=90) if s13.ok",
        "s15=rotate(angle_deg=0) after s14 if s13.ok",
        's16=look(zone="table")',
    )
)


def test_check_16_steps(benchmark: Any) -> None:
    plan = parse_text(LARGEST)
    assert benchmark(check, plan).accepted


def test_read_16_steps_from_text(benchmark: Any) -> None:
    assert len(benchmark(parse_text, LARGEST).steps) == 16


def test_read_16_steps_from_json(benchmark: Any) -> None:
    assert len(benchmark(plan_from_json, plan_to_json(parse_text(LARGEST))).steps) == 16


def test_check_16_steps_with_facts(benchmark: Any) -> None:
    plan = parse_text(JOBS, domain="robot_cell")
    assert benchmark(check, plan, granted=LEVELS).accepted


def test_check_16_steps_with_facts_and_conditions(benchmark: Any) -> None:
    plan = parse_text(BRANCHES, domain="robot_cell")
    assert benchmark(check, plan, granted=LEVELS).accepted


KEPT: BoundedCache[Verdict] = BoundedCache(max_entries=1024, max_bytes=1 << 20)


def looked_up(plan: Plan, schema_sha256: str, granted: frozenset[str]) -> Verdict | None:
    """A verdict that is kept, by all that decides it."""
    text = json.dumps(plan_to_json(plan), separators=(",", ":"))
    return KEPT.get(cache_key(text, schema_sha256, *sorted(granted)))


def found_again(benchmark: Any, text: str, domain: str) -> None:
    plan, granted = parse_text(text, domain=domain), frozenset(LEVELS)
    sha256 = get_domain(plan.domain, plan.version).schema_sha256
    key = cache_key(json.dumps(plan_to_json(plan), separators=(",", ":")), sha256, *sorted(granted))
    KEPT.put(key, check(plan, granted=granted), 1024)
    found = benchmark(looked_up, plan, sha256, granted)
    assert found is not None
    assert found.accepted


def test_look_up_the_verdict_on_16_steps(benchmark: Any) -> None:
    found_again(benchmark, LARGEST, "repo_assistant")


def test_look_up_the_verdict_on_16_steps_with_facts_and_conditions(benchmark: Any) -> None:
    found_again(benchmark, BRANCHES, "robot_cell")
