"""Random plans of three domains, judged by the checker and by the independent one: `python -m tests.plan.agreement`.

A plan is a golden or a random one of its domain, with up to four random changes. The two must agree on whether it is accepted
and, where nothing but the effects of steps is at fault, on code and step of every such fault.
"""

from __future__ import annotations

import argparse
import collections
import copy
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from builderbrain.plan import Domain, get_domain
from builderbrain.plan.assets import schema_paths
from builderbrain.plan.check import judge
from builderbrain.plan.faults import EFFECT_CODES
from builderbrain.plan.schema import DomainSchema, load_schema
from tests.plan.conftest import ROOT, generated_domain
from tests.plan.naive_checker import edges_of
from tests.plan.naive_runs import effect_faults

BAKERY = Path(__file__).with_name("bakery.v1.yaml")
LEVELS = frozenset({"read_only", "mutating", "meta"})
ODD_VALUES: list[Any] = [None, True, 3, -1.5, 200, "", "x", "README.md", "../x", "a/../b", "$${a}", "${s1}", [], ["a"], [1], {}]
REFERENCES = [
    f"${{s{step}.{result}}}" for step in (1, 2) for result in ("first_path", "text", "actions", "degrees", "report", "ok")
]
CONDITIONS = ["s1.ok", "not s2.ok", "s1.count > 2", "s1.ok and", "s2.lit", "not s2.lit", "s1.degrees >= 5", 's1.kind == "a"']
NAMES = ["s1", "s2", "s9", "list", "search", "talk", "do", "then", "rye", *load_schema(BAKERY).skills]
VALUES = [*ODD_VALUES, *REFERENCES, *CONDITIONS, *NAMES]


class Source:
    """Plans of one domain, and both checkers of it."""

    def __init__(
        self, schema: DomainSchema, domain: Domain, plans: Callable[[random.Random], Any], changes: tuple[int, ...]
    ) -> None:
        """`changes`: how many random changes a plan gets, one number drawn for each plan."""
        self.schema = schema
        self.domain = domain
        self.plans = plans
        self.changes = changes

    def plan(self, draw: random.Random) -> Any:
        """A plan in JSON, sound or not."""
        plan = copy.deepcopy(self.plans(draw))
        for _ in range(draw.choice(self.changes)):
            plan = mutate(plan, draw)
        return plan

    def verdicts(self, plan: Any) -> tuple[set[tuple[str, str | None]], set[tuple[str, str | None]]]:
        """What the checker and what the independent one find. All other faults are one, `("other", None)`."""
        faults = judge(plan, self.domain, LEVELS).faults
        quick = {(fault.code, fault.step) for fault in faults if fault.code in EFFECT_CODES}
        if any(fault.code not in EFFECT_CODES for fault in faults):
            quick = {("other", None)}
        edges = edges_of(self.schema, plan)
        return quick, {("other", None)} if edges is None else effect_faults(self.schema, plan, edges)


def mutate(plan: Any, draw: random.Random) -> Any:
    """One change somewhere in the plan."""
    places: list[tuple[Any, Any]] = []

    def visit(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                visit(node[key])

    visit(plan)
    steps = plan.get("steps")
    action = draw.choice(("replace", "replace", "drop", "swap", "repeat", "add"))
    if action == "replace" and places:
        node, key = draw.choice(places)
        node[key] = copy.deepcopy(draw.choice(VALUES))
    elif action == "drop" and places:
        node, key = draw.choice(places)
        del node[key]
    elif isinstance(steps, list) and steps:
        step = draw.choice(steps)
        if action == "swap":
            draw.shuffle(steps)
        elif action == "repeat":
            steps.append(copy.deepcopy(step))
            if isinstance(steps[-1], dict):
                steps[-1]["id"] = f"s{len(steps)}"
        elif isinstance(step, dict):
            step[draw.choice(("if", "needs", "args", "zz"))] = copy.deepcopy(draw.choice([*VALUES, ["s1"], {"path": "x"}]))
    return plan


def random_bakery(draw: random.Random) -> Any:
    """A plan of the bakery in which hardly anything but the effects can be at fault."""
    steps: list[Any] = []
    forms = [draw.choice(("{}.ok", "not {}.ok", "{}.lit", "not {}.lit", "{}.degrees > 3", "{}.degrees <= 3")) for _ in range(2)]
    for number in range(1, draw.choice((1, 2, 3, 3, 4, 4, 5, 5)) + 1):
        earlier = [step["id"] for step in steps]
        looks = [step["id"] for step in steps if step["skill"] == "look"]
        skill = draw.choice(("look", "mix", "mix", "scrape", "heat", "cool", "bake", "bake", "tell" if looks else "look"))
        step: dict[str, Any] = {"id": f"s{number}", "skill": skill, "args": {}}
        if skill in ("mix", "scrape"):
            referred = looks and draw.random() < 0.2
            step["args"]["amount"] = f"${{{draw.choice(looks)}.degrees}}" if referred else draw.randint(1, 4)
        if skill == "tell":
            step["args"]["about"] = f"${{{draw.choice(looks)}.report}}"
        if earlier and draw.random() < 0.6:
            step["needs"] = sorted({earlier[-1], *(name for name in earlier if draw.random() < 0.3)})
        elif draw.random() < 0.7:
            step["needs"] = [name for name in earlier if draw.random() < 0.5]
        if earlier and draw.random() < 0.4:
            form = draw.choice(forms)
            fits = earlier if ".ok" in form else looks
            term = (form if fits else "not {}.ok").format(draw.choice(fits or earlier))
            more = f"{draw.choice((' and ', ' or '))}{draw.choice(earlier)}.ok" if draw.random() < 0.2 else ""
            step["if"] = term + more
        steps.append(step)
    return {"domain": "bakery", "version": 1, "steps": steps}


def golden_plans(folder: Path) -> list[Any]:
    """The valid goldens of a domain."""
    return [json.loads(path.read_text(encoding="utf-8"))["plan"] for path in sorted((folder / "valid").glob("*.json"))]


def sources() -> dict[str, Source]:
    """By domain."""
    found = {}
    for name in ("repo_assistant", "scan"):
        schema = load_schema(next(path for path in schema_paths() if path.name == f"{name}.v1.yaml"))
        goldens = golden_plans(ROOT / "schemas" / "golden" / f"{name}.v1")
        found[name] = Source(
            schema, get_domain(name, 1), lambda draw, goldens=goldens: draw.choice(goldens), (0, 1, 1, 2, 3, 4)
        )
    bakery = load_schema(BAKERY)
    found["bakery"] = Source(bakery, generated_domain(bakery), random_bakery, (0, 0, 0, 0, 1, 2))
    return found


def compare(source: Source, seed: int, plans: int) -> Iterator[tuple[Any, set[Any], set[Any]]]:
    """Plans with what each of the two finds."""
    draw = random.Random(seed)
    for _ in range(plans):
        plan = source.plan(draw)
        yield plan, *source.verdicts(plan)


def main() -> int:
    """Compare on many plans; 1 when the two disagree on any."""
    parser = argparse.ArgumentParser(prog="python -m tests.plan.agreement", description="Compare the two plan checkers.")
    parser.add_argument("--plans", type=int, default=100_000, help="plans, shared among the domains (default: 100000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the plans (default: 0)")
    options = parser.parse_args()
    disagreements = 0
    for name, source in sources().items():
        counted: collections.Counter[str] = collections.Counter()
        share = options.plans // 2 if name == "bakery" else options.plans // 4
        for plan, quick, slow in compare(source, options.seed, share):
            counted.update({code for code, _ in quick} or {"accepted"})
            if quick != slow:
                disagreements += 1
                print(f"{name}: checker {sorted(map(str, quick))}, independent {sorted(map(str, slow))}: {json.dumps(plan)}")
        print(f"{name}: {share} plans, {dict(counted)}")
    print(f"{disagreements} disagreements")
    return 1 if disagreements else 0


if __name__ == "__main__":
    sys.exit(main())
