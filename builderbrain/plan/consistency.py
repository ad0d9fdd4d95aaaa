"""What the parts of a domain schema must have to do with one another; each problem names its key and what would be right.

Language 1 has none of the keys that these rules are about, and may not use them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builderbrain.plan.faults import nearest

if TYPE_CHECKING:
    from builderbrain.plan.schema import ArgumentSchema, DomainSchema, SkillSchema

NOTHING_TO_UNDO = "none"
"""Value of `undo` of a skill that changes something without anything to take back."""

_DOMAIN_KEYS = frozenset({"mode", "facts", "resources", "budgets", "fallback"})
_SKILL_KEYS = frozenset(
    {
        "requires",
        "sets",
        "uses",
        "costs",
        "retry",
        "idempotent",
        "undo",
        "irreversible",
        "critical",
        "confirm",
        "fallback",
        "equivalent",
        "cache_seconds",
    }
)


@dataclass(frozen=True)
class Problem:
    """A key that does not fit the others. `message` ends with the fix."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


def problems(schema: DomainSchema) -> Iterator[Problem]:
    """Every inconsistency of a schema, in the order of the file."""
    if schema.language == 1:
        yield from _keys_of_language_2(schema)
        return
    yield from _declared_names(schema)
    for name, skill in schema.skills.items():
        yield from _facts_of(schema, name, skill)
        yield from _shares_of(schema, name, skill)
        yield from _taking_back(schema, name, skill)
        yield from _fallback_of(schema, name, skill)
        yield from _equivalents_of(schema, name, skill)
        yield from _caching_of(name, skill)
    yield from _fallback_of_the_domain(schema)


def _keys_of_language_2(schema: DomainSchema) -> Iterator[Problem]:
    used = [key for key in schema.model_fields_set if key in _DOMAIN_KEYS]
    for name, skill in schema.skills.items():
        used.extend(f"skills.{name}.{key}" for key in skill.model_fields_set if key in _SKILL_KEYS)
    for key in sorted(used):
        yield Problem(key, "is a key of language 2; write language: 2, or drop it")


def _declared_names(schema: DomainSchema) -> Iterator[Problem]:
    if NOTHING_TO_UNDO in schema.skills:
        yield Problem(f"skills.{NOTHING_TO_UNDO}", "undo: none means that there is nothing to take back; choose another name")
    skills = schema.skills.values()
    for fact in schema.facts:
        if not any(fact in skill.requires or fact in skill.sets for skill in skills):
            yield Problem(f"facts.{fact}", "no skill requires or sets it; drop it, or use it")
    for resource in schema.resources:
        if not any(resource in skill.uses for skill in skills):
            yield Problem(f"resources.{resource}", "no skill uses it; drop it, or use it")
    for budget in schema.budgets:
        if not any(budget in skill.costs for skill in skills):
            yield Problem(f"budgets.{budget}", "no skill costs anything of it; drop it, or say what takes it")


def _facts_of(schema: DomainSchema, name: str, skill: SkillSchema) -> Iterator[Problem]:
    for fact, legal in skill.requires.items():
        key = f"skills.{name}.requires.{fact}"
        if fact not in schema.facts:
            yield _undeclared(key, "fact", "facts", fact, schema.facts)
            continue
        declared = schema.facts[fact]
        unknown = [value for value in legal if value not in declared.one_of]
        if unknown:
            yield Problem(key, f"{fact} is never {unknown[0]}; {nearest(unknown[0], declared.one_of)}")
        elif len(set(legal)) != len(legal):
            yield Problem(key, "holds a value twice; keep one")
        elif declared.initial not in legal and not any(other.sets.get(fact) in legal for other in schema.skills.values()):
            yield Problem(key, f"{fact} never becomes {' or '.join(legal)}; let a skill set it, or give it as initial")
    for fact, value in skill.sets.items():
        key = f"skills.{name}.sets.{fact}"
        if fact not in schema.facts:
            yield _undeclared(key, "fact", "facts", fact, schema.facts)
        elif value not in schema.facts[fact].one_of:
            yield Problem(key, f"{fact} is never {value}; {nearest(value, schema.facts[fact].one_of)}")


def _shares_of(schema: DomainSchema, name: str, skill: SkillSchema) -> Iterator[Problem]:
    for resource in skill.uses:
        if resource not in schema.resources:
            yield _undeclared(f"skills.{name}.uses", "resource", "resources", resource, schema.resources)
    if len(set(skill.uses)) != len(skill.uses):
        yield Problem(f"skills.{name}.uses", "names a resource twice; keep one")
    for budget, cost in skill.costs.items():
        key = f"skills.{name}.costs.{budget}"
        if budget not in schema.budgets:
            yield _undeclared(key, "budget", "budgets", budget, schema.budgets)
        elif isinstance(cost, str):
            reason = _no_cost(cost, skill)
            if reason is not None:
                yield Problem(key, reason)
        elif cost > schema.budgets[budget].limit:
            limit = schema.budgets[budget].limit
            yield Problem(key, f"one step costs {cost}, more than the limit of {limit}; raise budgets.{budget}.limit")
    if skill.retry is not None and not skill.idempotent and skill.safety != "read_only":
        yield Problem(
            f"skills.{name}.retry", "only a skill that may run twice is tried again; say idempotent: true, or drop it"
        )


def _caching_of(name: str, skill: SkillSchema) -> Iterator[Problem]:
    if skill.cache_seconds is None:
        return
    if skill.safety != "read_only":
        yield Problem(f"skills.{name}.cache_seconds", f"{name} is {skill.safety}, so that each call counts; drop it")
    elif skill.sets:
        yield Problem(f"skills.{name}.cache_seconds", f"{name} sets {', '.join(skill.sets)}, so that each call counts; drop it")


def _no_cost(argument: str, skill: SkillSchema) -> str | None:
    declared = skill.arguments.get(argument)
    if declared is None:
        return f"there is no argument {argument}; {nearest(argument, skill.arguments)}, or give a whole number"
    if declared.type != "integer" or declared.maximum is None or declared.minimum is None or declared.minimum < 0:
        return f"the argument {argument} must be an integer with a minimum of at least 0 and a maximum; declare them"
    if not declared.required and declared.default is None:
        return f"the argument {argument} may be absent; make it required, or give it a default"
    return None


def _taking_back(schema: DomainSchema, name: str, skill: SkillSchema) -> Iterator[Problem]:
    key = f"skills.{name}"
    if skill.safety == "read_only":
        for said, given in (
            ("idempotent", skill.idempotent),
            ("undo", skill.undo is not None),
            ("irreversible", skill.irreversible),
        ):
            if given:
                yield Problem(f"{key}.{said}", "a read_only skill changes nothing and may always run twice; drop it")
        return
    if skill.undo is not None and skill.irreversible:
        yield Problem(f"{key}.undo", "what is irreversible has no undo; keep one of them")
    elif skill.undo is None and not skill.irreversible and skill.safety == "mutating":
        yield Problem(
            key,
            "a mutating skill says how it is taken back; write undo: <skill>, irreversible: true, or idempotent and undo: none",
        )
    if skill.undo == NOTHING_TO_UNDO:
        if not skill.idempotent:
            yield Problem(f"{key}.undo", "none goes with idempotent: true; name the skill that takes it back, or add that")
    elif skill.undo is not None:
        yield from _undo_of(schema, f"{key}.undo", skill, skill.undo)


def _undo_of(schema: DomainSchema, key: str, skill: SkillSchema, name: str) -> Iterator[Problem]:
    undo = schema.skills.get(name)
    if undo is None:
        yield _undeclared(key, "skill", "skills", name, schema.skills)
        return
    if undo.irreversible:
        yield Problem(key, f"{name} is irreversible, so it takes nothing back; name a skill that is not")
    if undo.safety != skill.safety:
        yield Problem(key, f"{name} is {undo.safety}; a {skill.safety} step is taken back by a {skill.safety} skill")
    if undo.confirm:
        yield Problem(key, f"{name} asks a person, but undoing does not wait; drop confirm of {name}, or name another skill")
    for argument, declared in undo.arguments.items():
        if declared.required:
            reason = _not_filled(skill, argument, declared)
            if reason is not None:
                yield Problem(key, f"the argument {argument} of {name} cannot be filled: {reason}")
    for fact, legal in undo.requires.items():
        held = {skill.sets[fact]} if fact in skill.sets else set(skill.requires.get(fact, ()))
        if not held or not held <= set(legal):
            wanted = " or ".join(legal)
            yield Problem(key, f"{name} requires {fact} to be {wanted}, which does not hold after the step; set or require it")


def _not_filled(skill: SkillSchema, name: str, wanted: ArgumentSchema) -> str | None:
    """Why a step does not say the value of an argument of its undo, or None. A result goes before an argument."""
    result = skill.results.get(name)
    if result is not None:
        return None if result.type == wanted.type else f"the result {name} is of type {result.type}; make it {wanted.type}"
    given = skill.arguments.get(name)
    if given is None:
        return f"the step has no result or argument {name}; add a result {name} of type {wanted.type}"
    if given.type != wanted.type:
        return f"the argument {name} of the step is of type {given.type}; make it {wanted.type}"
    if not given.required and given.default is None:
        return f"the argument {name} of the step may be absent; make it required, or give it a default"
    if not _within(given, wanted):
        return f"its bounds are narrower than those of the step's {name}; give both the same bounds"
    return None


def _within(given: ArgumentSchema, wanted: ArgumentSchema) -> bool:
    """Whether every value that `given` takes is one that `wanted` takes; both have the same type."""
    lowest = wanted.minimum is None or (given.minimum is not None and given.minimum >= wanted.minimum)
    highest = wanted.maximum is None or (given.maximum is not None and given.maximum <= wanted.maximum)
    longest = wanted.max_length is None or (given.max_length is not None and given.max_length <= wanted.max_length)
    shortest = (given.min_length or 0) >= (wanted.min_length or 0)
    listed = wanted.one_of is None or (given.one_of is not None and set(given.one_of) <= set(wanted.one_of))
    return lowest and highest and longest and shortest and listed


def _fallback_of(schema: DomainSchema, name: str, skill: SkillSchema) -> Iterator[Problem]:
    if skill.fallback is None:
        return
    key = f"skills.{name}.fallback"
    chosen = schema.skills.get(skill.fallback)
    if chosen is None:
        yield _undeclared(key, "skill", "skills", skill.fallback, schema.skills)
        return
    yield from _runs_by_itself(key, skill.fallback, chosen)
    if chosen.safety not in ("read_only", skill.safety):
        yield Problem(
            key, f"{skill.fallback} is {chosen.safety}, but {name} is granted as {skill.safety}; name a skill of that level"
        )
    seen = [name]
    following: str | None = skill.fallback
    while following in schema.skills:
        if following in seen:
            yield Problem(
                key, f"falls back in a circle, {' to '.join([*seen, following])}; end it with a skill without fallback"
            )
            return
        seen.append(following)
        following = schema.skills[following].fallback


def _runs_by_itself(key: str, name: str, chosen: SkillSchema) -> Iterator[Problem]:
    """What a skill must be to be a fallback."""
    needed = [argument for argument, declared in chosen.arguments.items() if declared.required]
    if needed:
        yield Problem(key, f"{name} needs {', '.join(needed)}, but is called without arguments; give them defaults")
    if chosen.requires:
        yield Problem(key, f"{name} requires facts, which are unknown after a failure; drop its requires")
    if chosen.irreversible or chosen.confirm:
        yield Problem(key, f"{name} runs by itself; it may be neither irreversible nor ask a person, so drop that")


def _fallback_of_the_domain(schema: DomainSchema) -> Iterator[Problem]:
    if schema.fallback is None:
        return
    chosen = schema.skills.get(schema.fallback)
    if chosen is None:
        yield _undeclared("fallback", "skill", "skills", schema.fallback, schema.skills)
        return
    yield from _runs_by_itself("fallback", schema.fallback, chosen)


def _equivalents_of(schema: DomainSchema, name: str, skill: SkillSchema) -> Iterator[Problem]:
    """A stand-in takes every call of the skill, gives every result, and may do no more than the skill itself."""
    key = f"skills.{name}.equivalent"
    if len(set(skill.equivalent)) != len(skill.equivalent) or name in skill.equivalent:
        yield Problem(key, "names other skills, each once; drop the rest")
    for other in skill.equivalent:
        chosen = schema.skills.get(other)
        if chosen is None:
            yield _undeclared(key, "skill", "skills", other, schema.skills)
            continue
        if chosen.safety not in ("read_only", skill.safety):
            yield Problem(key, f"{other} is {chosen.safety}, {name} is {skill.safety}; name a skill of that level or read_only")
        bound = all(getattr(chosen, rule) or not getattr(skill, rule) for rule in ("confirm", "critical"))
        if (chosen.irreversible and not skill.irreversible) or not bound:
            yield Problem(key, f"{other} binds less than {name} (irreversible, confirm, critical); name one that binds as much")
        if chosen.sets != skill.sets:
            yield Problem(key, f"{other} leaves other facts than {name}; give both the same sets")
        for argument, given in skill.arguments.items():
            wanted = chosen.arguments.get(argument)
            if wanted is None or wanted.type != given.type or not _within(given, wanted) or wanted.default != given.default:
                yield Problem(key, f"{other} does not take every {argument} of {name}; give both the same argument")
        more = [
            argument
            for argument, declared in chosen.arguments.items()
            if declared.required and not (argument in skill.arguments and skill.arguments[argument].required)
        ]
        if more:
            yield Problem(key, f"{other} needs {', '.join(more)}, which {name} may not give; drop required")
        given_types = {result: declared.type for result, declared in chosen.results.items()}
        lost = [result for result, declared in skill.results.items() if given_types.get(result) != declared.type]
        if lost:
            yield Problem(key, f"{other} does not give {', '.join(lost)} as {name} does; declare it with the same type")


def _undeclared(key: str, kind: str, where: str, name: str, declared: Iterable[str]) -> Problem:
    others = list(declared)
    remedy = f"declare it under {where}" + (f", or {nearest(name, others)}" if others else "")
    return Problem(key, f"there is no {kind} {name}; {remedy}")
