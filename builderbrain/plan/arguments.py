"""The arguments of one call as they really are, once references are resolved: what the checker could not see in the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builderbrain.plan.domain import Domain
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import Scope

_RESULTS = "s0"
"""Stands for the steps that real values came from; no step of a plan has this id."""


def argument_faults(domain: Domain, step: str, skill: str, arguments: Mapping[str, Any]) -> tuple[Fault, ...]:
    """Every fault of real arguments: the types and bounds that literals in a plan must keep, kept by results as well.

    Args:
        step: id of the step, for the faults.
        arguments: values by name; lists as lists or tuples.
    """
    declared = domain.skills[skill].arguments
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    scope = Scope(domain, {})
    referred = {name: declared[name].type for name in given if name in declared and declared[name].reference_only}
    if referred:  # no literal is legal there; the result that came was checked against its skill's declaration
        scope.results = {_RESULTS: referred}
        given.update((name, Reference(_RESULTS, name)) for name in referred)
    faults: list[Fault] = []
    domain.skills[skill].check(Step(step, skill, given), scope, faults)
    return tuple(faults)
