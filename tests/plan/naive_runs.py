"""The rules about effects, found out by trying: every order of the steps, every `if` that holds or not, every step that fails.

Exponential and meant for plans of a handful of steps. A run is as the executor has it; the result of a comparison is not
worked out: an `if` holds or not as a whole, the same for equal ones, only never where a step it asks about rules that out,
and never two at once that no values satisfy together.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

from builderbrain.plan.schema import DomainSchema, SkillSchema
from tests.plan.naive_checker import REFERENCE, Edges, terms_of

UNKNOWN = "unknown"
Found = set[tuple[str, str | None]]


def effect_faults(schema: DomainSchema, plan: Any, edges: Edges) -> Found:
    """(code, step) of every fault about effects, of a plan without any other fault."""
    found: Found = set()
    for budget, declared in schema.budgets.items():
        if sum(cost(schema.skills[step["skill"]], step, budget) for step in plan["steps"]) > declared.limit:
            found.add(("over_budget", None))
    if not schema.facts and not schema.resources and not any(skill.irreversible for skill in schema.skills.values()):
        return found
    together: set[tuple[str, str]] = set()
    for holding in truths({step["if"] for step in plan["steps"] if step.get("if")}):
        runs = Runs(schema, plan["steps"], edges, holding)
        runs.explore()
        found |= {("precondition", step) for step in runs.unmet}
        together |= runs.together
    before = transitive(edges)
    for first, second in together:
        one, other = (schema.skills[step["skill"]] for name in (first, second) for step in plan["steps"] if step["id"] == name)
        shared = resources(schema, one) & resources(schema, other)
        earlier = int(first[1:]) < int(second[1:])
        if earlier and (first, second) not in before and any(schema.resources[name].order == "fixed" for name in shared):
            found.add(("lock_conflict", second))
        if one.undo not in (None, "none") and other.irreversible and (first, second) not in before:
            found.add(("irreversible_order", second))
    return found


def cost(skill: SkillSchema, step: Any, budget: str) -> int:
    amount = skill.costs.get(budget, 0)
    if isinstance(amount, int):
        return amount
    declared = skill.arguments[amount]
    value = step.get("args", {}).get(amount, declared.default)
    return declared.maximum if isinstance(value, str) else value


def fallbacks(schema: DomainSchema, skill: SkillSchema) -> list[SkillSchema]:
    chain = [skill]
    while chain[-1].fallback is not None:
        chain.append(schema.skills[chain[-1].fallback])
    return chain


def resources(schema: DomainSchema, skill: SkillSchema) -> set[str]:
    return {name for each in fallbacks(schema, skill) for name in each.uses}


def transitive(edges: Edges) -> set[tuple[str, str]]:
    before = {(needed, needing) for needed, needing, _ in edges}
    while True:
        more = {(a, d) for a, b in before for c, d in before if b == c} - before
        if not more:
            return before
        before |= more


class Runs:
    """Every run of a plan in which exactly these conditions would hold."""

    def __init__(self, schema: DomainSchema, steps: list[Any], edges: Edges, holding: frozenset[str]) -> None:
        self.schema = schema
        self.steps = {step["id"]: step for step in steps}
        self.needs = {name: {needed for needed, needing, _ in edges if needing == name} for name in self.steps}
        self.asked = {
            name: {needed for needed, needing, kind in edges if needing == name and kind == "condition"} for name in self.steps
        }
        self.holding = holding
        self.unmet: set[str] = set()
        self.together: set[tuple[str, str]] = set()
        self.seen: set[Any] = set()

    def explore(self) -> None:
        facts = {name: fact.initial or UNKNOWN for name, fact in self.schema.facts.items()}
        self.go(dict.fromkeys(self.steps, ""), facts)

    def go(self, status: dict[str, str], facts: dict[str, str]) -> None:
        key = (*status.values(), *facts.values())
        if key in self.seen:
            return
        self.seen.add(key)
        waiting = [name for name, what in status.items() if not what and all(status[need] for need in self.needs[name])]
        for name in waiting:
            for outcome in self.outcomes(name, status):
                self.go({**status, name: outcome}, self.facts_after(name, outcome, status, facts))
        if not waiting:
            called = [name for name, what in status.items() if what in ("done", "failed")]
            self.together |= {(one, other) for one in called for other in called if one != other}

    def outcomes(self, name: str, status: dict[str, str]) -> list[str]:
        """What may become of a step now; it is checked for its preconditions when it is called."""
        step = self.steps[name]
        if any(status[need] in ("failed", "blocked") for need in self.needs[name] - self.asked[name]):
            return ["blocked"]
        condition = step.get("if")
        if condition is not None:
            if condition not in self.holding:
                return ["skipped"]
            if not all(possible(condition, asked, status[asked] == "done") for asked in self.asked[name]):
                return ["skipped"]
        referred = [
            match for value in step.get("args", {}).values() if isinstance(value, str) and (match := REFERENCE.fullmatch(value))
        ]
        sources = {match[1] for match in referred if match[2] != "ok"}
        if any(status[source] != "done" for source in sources):
            return ["blocked"]
        return ["done", "failed", *(["blocked"] if sources else [])]

    def facts_after(self, name: str, outcome: str, status: dict[str, str], facts: dict[str, str]) -> dict[str, str]:
        skill = self.schema.skills[self.steps[name]["skill"]]
        if outcome not in ("done", "failed"):
            return facts
        if any(facts[fact] not in legal for fact, legal in skill.requires.items()):
            self.unmet.add(name)
        if outcome == "done":
            return {**facts, **skill.sets}
        return {**facts, **{fact: UNKNOWN for each in fallbacks(self.schema, skill) for fact in each.sets}}


def truths(conditions: set[str]) -> list[frozenset[str]]:
    """Which conditions may hold in one run."""
    subsets = itertools.chain.from_iterable(
        itertools.combinations(sorted(conditions), size) for size in range(len(conditions) + 1)
    )
    return [frozenset(some) for some in subsets if all(compatible(a, b) for a in some for b in some)]


@cache
def compatible(one: str, other: str) -> bool:
    """Whether some values make both hold."""
    return satisfiable((one, other))


@cache
def possible(condition: str, step: str, done: bool) -> bool:
    """Whether some values make a condition hold, where this step is done or not; the others may be either."""
    return satisfiable((condition,), step, done)


def satisfiable(conditions: tuple[str, ...], step: str | None = None, done: bool = False) -> bool:
    parsed = [terms for text in conditions if (terms := terms_of(text)) is not None]
    samples: dict[tuple[str, str], list[Any]] = {}
    for _, terms in parsed:
        for name, result, _, literal in terms:
            values = samples.setdefault((name, result), [True, False] if result == "ok" else [None])
            if result != "ok" and literal is None:
                values += [True, False]
            elif isinstance(literal, str):
                values += [literal, literal + "?"]
            elif literal is not None:
                values += [literal, literal - 0.5, literal + 0.5]
    for (name, result), _ in samples.items():
        if name == step:
            if result == "ok":
                samples[name, result] = [done]
            elif not done:
                samples[name, result] = [None]
    names = list(samples)
    return any(
        all(evaluate(terms, dict(zip(names, values, strict=True))) for terms in parsed)
        for values in itertools.product(*samples.values())
    )


def evaluate(parsed: tuple[str, list[tuple[str, str, str, Any]]], values: dict[tuple[str, str], Any]) -> bool:
    word, terms = parsed
    outcomes = []
    for name, result, operator, literal in terms:
        value = values[name, result]
        if operator in ("is", "not"):
            outcomes.append((value is True) == (operator == "is"))
        elif value is None:
            outcomes.append(False)
        else:
            holds = {"==": value == literal, "!=": value != literal}
            if not isinstance(literal, str):
                holds |= {"<": value < literal, "<=": value <= literal, ">": value > literal, ">=": value >= literal}
            outcomes.append(holds[operator])
    return any(outcomes) if word == "or" else all(outcomes)
