"""A domain made at run time from a schema: the tables that the generator writes out, without a line of code made from it.

Shipped domains are generated as Python, because checking must cost microseconds. A schema that comes into being while the
program runs (from the tools of a server) must not become code: here its rules about arguments are read from the schema at
each check. Both say the same about every plan; the tests compare them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import OK_RESULT, Argument, ArgumentCheck, Domain, Fact, Resource, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.paths import path_fault
from builderbrain.plan.schema import ArgumentSchema, DomainSchema, EdgeKind, SkillSchema
from builderbrain.plan.scope import ABSENT, Scope

_TEXTS = ("string", "text", "path")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "text": (str,),
    "path": (str,),
    "integer": (int,),
    "number": (float, int),
    "boolean": (bool,),
}


def runtime_domain(schema: DomainSchema, sha256: str) -> Domain:
    """The tables and planchecker of a schema.

    Args:
        sha256: what the schema is known by; an execution is resumed only under the same one.
    """
    return Domain(
        name=schema.domain,
        version=schema.version,
        schema_sha256=sha256,
        max_steps=schema.limits.max_steps,
        max_depth=schema.limits.max_depth,
        max_width=schema.limits.max_width,
        skills={name: _skill(name, skill) for name, skill in schema.skills.items()},
        data_edges=_edges(schema, "data"),
        condition_edges=_edges(schema, "condition"),
        sequence_edges=_edges(schema, "sequence"),
        mode=schema.mode,
        facts={name: Fact(values=tuple(declared.one_of), initial=declared.initial) for name, declared in schema.facts.items()},
        resources={
            name: Resource(fixed_order=declared.order == "fixed", capacity=declared.capacity or 1)
            for name, declared in schema.resources.items()
        },
        budgets={name: declared.limit for name, declared in schema.budgets.items()},
        fallback=schema.fallback,
    )


def _edges(schema: DomainSchema, kind: EdgeKind) -> dict[str, frozenset[str]]:
    pairs = schema.legal_edges(kind)
    return {name: frozenset(source for source, target in pairs if target == name) for name in schema.skills}


def _skill(name: str, schema: SkillSchema) -> Skill:
    retry = schema.retry
    return Skill(
        name=name,
        summary=schema.summary,
        safety=schema.safety,
        timeout_seconds=schema.timeout_seconds,
        arguments={argument: _argument(declared) for argument, declared in schema.arguments.items()},
        results={OK_RESULT: "boolean", **{result: declared.type for result, declared in schema.results.items()}},
        check=_check(name, schema),
        requires={fact: frozenset(legal) for fact, legal in schema.requires.items()},
        sets=dict(schema.sets),
        uses=tuple(schema.uses),
        costs=dict(schema.costs),
        retry_attempts=retry.attempts if retry is not None else 1,
        retry_wait_seconds=float(retry.wait_seconds) if retry is not None else 1.0,
        idempotent=schema.idempotent,
        undo=schema.undo_skill,
        irreversible=schema.irreversible,
        critical=schema.critical,
        confirm=schema.confirm,
        fallback=schema.fallback,
        cache_seconds=None if schema.cache_seconds is None else float(schema.cache_seconds),
    )


def _argument(declared: ArgumentSchema) -> Argument:
    return Argument(
        type=declared.type,
        required=declared.required,
        default=declared.default,
        summary=declared.summary,
        maximum=declared.maximum,
        reference_only=declared.reference_only,
    )


def _check(skill: str, schema: SkillSchema) -> ArgumentCheck:
    declared = tuple(schema.arguments.items())
    legal = tuple(schema.arguments)

    def check(step: Step, scope: Scope, faults: list[Fault]) -> None:
        known = 0
        for name, argument in declared:
            value = step.args.get(name, ABSENT)
            if value is ABSENT:
                if argument.required:
                    faults.append(fault.missing_argument(step.id, skill, name, argument.type))
                continue
            known += 1
            if type(value) is Reference:
                scope.reference(step, name, argument.type, value, faults)
            elif argument.reference_only:
                faults.append(fault.literal_argument(step.id, name, argument.type, value))
            else:
                faults.extend(_literal_faults(step.id, name, argument, value))
        if known != len(step.args):
            faults.extend(fault.unknown_argument(step.id, skill, name, legal) for name in step.args if name not in legal)

    return check


def _literal_faults(step: str, name: str, declared: ArgumentSchema, value: Any) -> Iterator[Fault]:
    """Faults of a literal: one at most, or one for each item of a list."""
    kind = declared.type.removeprefix("list of ")
    if kind != declared.type:
        if type(value) is not tuple or any(type(item) not in _TYPES[kind] for item in value):
            yield fault.ill_typed_argument(step, name, declared.type, value)
        elif kind in _TEXTS:
            for item in value:
                yield from _text_faults(step, name, kind, item)
    elif type(value) not in _TYPES[kind]:
        yield fault.ill_typed_argument(step, name, kind, value)
    elif kind in _TEXTS:
        yield from _bounded_text_faults(step, name, declared, value)
    else:
        yield from _range_faults(step, name, declared, value)


def _bounded_text_faults(step: str, name: str, declared: ArgumentSchema, value: str) -> Iterator[Fault]:
    lowest, highest = declared.min_length or 0, declared.max_length
    if len(value) < lowest or (highest is not None and len(value) > highest):
        wanted = f"must have {lowest} to {highest} characters" if highest is not None else "must not be empty"
        yield fault.bad_value(step, name, value, wanted, "shorten or fill it")
        return
    found = next(_text_faults(step, name, declared.type, value), None)
    if found is not None:
        yield found
    elif declared.one_of is not None and value not in declared.one_of:
        yield fault.bad_value(step, name, value, "is not one of the legal values", fault.nearest(value, declared.one_of))


def _text_faults(step: str, name: str, kind: str, value: str) -> Iterator[Fault]:
    reason = fault.text_fault(value)
    if reason is not None:
        yield fault.bad_value(step, name, value, reason, "leave that character out")
    elif kind == "path" and (reason := path_fault(value)) is not None:
        yield fault.path_escape(step, name, value, reason)


def _range_faults(step: str, name: str, declared: ArgumentSchema, value: float) -> Iterator[Fault]:
    if declared.minimum is not None and value < declared.minimum:
        bound = f"at least {declared.minimum}"
    elif declared.maximum is not None and value > declared.maximum:
        bound = f"at most {declared.maximum}"
    else:
        return
    yield fault.bad_value(step, name, value, f"must be {bound}", f"give {bound}")
