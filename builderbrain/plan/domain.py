"""What the runtime knows of a domain: plain tables, written out by the generator, so that no YAML is read at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from builderbrain.plan.faults import Fault
    from builderbrain.plan.model import Step
    from builderbrain.plan.scope import Scope

ArgumentCheck = Callable[["Step", "Scope", "list[Fault]"], None]
"""Checks the arguments of one step; appends to the faults."""

SAFETY_LEVELS = ("read_only", "mutating", "meta")
"""What a skill may do, and what is granted to a plan: change nothing, change things, act on the engine itself."""

OK_RESULT = "ok"
"""Result that every step has: whether it ran without a failure."""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a skill. `default` is None when there is none (no type has None as a value).

    `maximum` is the declared bound, None without one; `reference_only` when a plan may give no literal.
    """

    type: str
    required: bool = False
    default: Any = None
    summary: str = ""
    maximum: int | None = None
    reference_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What a precondition or an effect speaks of: one of finitely many values. `initial` is None when it starts unknown."""

    values: tuple[str, ...]
    initial: str | None = None


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What steps share. With `fixed_order` the plan orders the steps that use it; at most `capacity` of them run at a time."""

    fixed_order: bool
    capacity: int = 1


@dataclass(frozen=True, kw_only=True)
class Skill:
    """One skill: arguments in the order of the text form, result types by name (`ok` among them), the generated check.

    The defaults mean what a schema without these keys means.

    Attributes:
        requires: legal values of facts, each of which must hold when a step of the skill starts.
        sets: facts after a step succeeded; after one that failed they are unknown.
        uses: resources that a step holds while it runs.
        costs: what a step takes of a budget: a whole number, or the name of the integer argument that says it.
        retry_attempts: runs of a step at most, the first among them; more than one only when `idempotent`.
        retry_wait_seconds: wait before the second run; each further wait is twice as long.
        idempotent: running a step twice is as good as once; so is every `read_only` skill.
        undo: skill that takes a step back, called with the step's results and arguments of the same name; None without one.
        irreversible: a step cannot be taken back, and comes after all those that can.
        critical: the failure of a step stops the plan and takes back what was done.
        confirm: a person must say yes before a plan with such a step runs.
        fallback: skill to run, without arguments, when a step failed for good; None without one.
        equivalent: skills that may stand in for this one with the same arguments; repair tries them, the best first.
        cache_seconds: how long a result may stand for another call with the same arguments; None for never.
    """

    name: str
    summary: str
    safety: str
    timeout_seconds: float
    arguments: Mapping[str, Argument]
    results: Mapping[str, str]
    check: ArgumentCheck
    requires: Mapping[str, frozenset[str]] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)
    uses: tuple[str, ...] = ()
    costs: Mapping[str, int | str] = field(default_factory=dict)
    retry_attempts: int = 1
    retry_wait_seconds: float = 1.0
    idempotent: bool = False
    undo: str | None = None
    irreversible: bool = False
    critical: bool = False
    confirm: bool = False
    fallback: str | None = None
    equivalent: tuple[str, ...] = ()
    cache_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.safety == "read_only":
            object.__setattr__(self, "idempotent", True)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One version of a domain.

    `data_edges`, `condition_edges` and `sequence_edges` give for a skill the skills that it may need in that way.
    `mode` is what decoding does when nothing legal is left: `strict` ends, `flexible` may go on without the grammar.
    `budgets` are the limits on the sum of a plan's costs. `fallback` is the skill that is run, without arguments, when no
    plan for a goal is accepted; None without one.
    """

    name: str
    version: int
    schema_sha256: str
    max_steps: int
    max_depth: int
    max_width: int
    skills: Mapping[str, Skill]
    data_edges: Mapping[str, frozenset[str]]
    condition_edges: Mapping[str, frozenset[str]]
    sequence_edges: Mapping[str, frozenset[str]]
    mode: str = "strict"
    facts: Mapping[str, Fact] = field(default_factory=dict)
    resources: Mapping[str, Resource] = field(default_factory=dict)
    budgets: Mapping[str, int] = field(default_factory=dict)
    fallback: str | None = None

    @cached_property
    def has_effects(self) -> bool:
        """Whether any rule about the effects of steps on one another can apply; False in a domain of language 1."""
        irreversible = any(skill.irreversible for skill in self.skills.values())
        return bool(self.facts or self.resources or self.budgets) or irreversible

    @cached_property
    def costs(self) -> Mapping[str, tuple[tuple[str, int | str], ...]]:
        """What a step takes of budgets, by skill; skills that take nothing are not there."""
        return {name: tuple(skill.costs.items()) for name, skill in self.skills.items() if skill.costs}

    @cached_property
    def confirmed(self) -> frozenset[str]:
        """Skills that a person must confirm."""
        return frozenset(name for name, skill in self.skills.items() if skill.confirm)

    @cached_property
    def initial_facts(self) -> dict[str, str | None]:
        """What is known of each fact at the start; None where it is unknown. A copy is the state of an execution."""
        return {name: fact.initial for name, fact in self.facts.items()}

    @cached_property
    def touched(self) -> Mapping[str, frozenset[str]]:
        """By skill, the facts that a step of it can change: those it sets, and those that its fallbacks set."""
        return {name: frozenset(fact for each in self._with_fallbacks(name) for fact in each.sets) for name in self.skills}

    @cached_property
    def ordered(self) -> Mapping[str, tuple[str, ...]]:
        """By skill, the resources of fixed order that a step of it, or one of its fallbacks, uses."""
        fixed = [name for name, resource in self.resources.items() if resource.fixed_order]
        used = {name: {resource for each in self._with_fallbacks(name) for resource in each.uses} for name in self.skills}
        return {name: tuple(resource for resource in fixed if resource in used[name]) for name in self.skills}

    def fallbacks(self, skill: Skill) -> tuple[str, ...]:
        """What is run when a step of the skill failed for good: its fallback, the fallback of that, and so on."""
        return tuple(each.name for each in self._with_fallbacks(skill.fallback))

    def _with_fallbacks(self, name: str | None) -> tuple[Skill, ...]:
        chain: list[Skill] = []
        while name is not None and self.skills[name] not in chain:
            chain.append(self.skills[name])
            name = chain[-1].fallback
        return tuple(chain)
