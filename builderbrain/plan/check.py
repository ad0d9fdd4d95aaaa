"""The gate before every side effect: `check` judges a plan, `checked` makes the one type that the executor takes.

The rules about arguments come from code generated from the domain's schema, the rules about the graph from `graph.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final

from builderbrain.errors import PlanRejectedError
from builderbrain.plan.domain import Domain
from builderbrain.plan.faults import EFFECT_CODES, Fault, Verdict, nearest, quoted, shown
from builderbrain.plan.graph import check_plan
from builderbrain.plan.json_form import read_plan
from builderbrain.plan.model import Plan
from builderbrain.plan.normal import normalised
from builderbrain.plan.registry import domain_names, domain_versions, find_domain

READ_ONLY: Final = frozenset({"read_only"})
"""What is granted when nothing else is said."""

_ACCEPTED = Verdict(True, ())
_SEAL = object()


class CheckedPlan:
    """A plan that passed the checker, in normal form. Only `checked` can make one.

    Attributes:
        plan: the accepted plan.
        domain: the tables it was checked against.
        granted: the safety levels it was checked for.
        confirm: ids of the steps that a person must confirm before the plan runs.
    """

    __slots__ = ("confirm", "domain", "granted", "plan")

    plan: Plan
    domain: Domain
    granted: frozenset[str]
    confirm: tuple[str, ...]

    def __init__(self, plan: Plan, domain: Domain, granted: frozenset[str], *, seal: object = None) -> None:
        if seal is not _SEAL:
            raise TypeError("only builderbrain.plan.checked makes a CheckedPlan; call checked(plan)")
        object.__setattr__(self, "plan", plan)
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "granted", granted)
        object.__setattr__(self, "confirm", _to_confirm(plan, domain))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a CheckedPlan cannot be changed (tried to set {name}); check a new plan")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a CheckedPlan cannot be changed (tried to delete {name}); check a new plan")

    def __init_subclass__(cls) -> None:
        raise TypeError("CheckedPlan cannot be subclassed; the executor takes exactly this type")

    def __reduce__(self) -> str:
        raise TypeError("a CheckedPlan does not travel; send its plan and check it again")


def check(plan: Plan | Mapping[str, Any] | object, *, granted: Set[str] = READ_ONLY) -> Verdict:
    """Judge a plan, given as a `Plan` or as decoded JSON. Reports every fault; never raises on any decoded JSON.

    Args:
        granted: safety levels that the plan may use, of `read_only`, `mutating`, `meta`.
    """
    return _judge(plan, granted)[0]


def checked(plan: Plan | Mapping[str, Any] | object, *, granted: Set[str] = READ_ONLY) -> CheckedPlan:
    """The plan as the executor takes it.

    Raises:
        PlanRejectedError: the checker found faults; `verdict` holds them all.
    """
    verdict, read = _judge(plan, granted)
    domain = find_domain(read.domain, read.version) if read is not None else None
    if not verdict.accepted or read is None or domain is None:
        more = f" (and {len(verdict.faults) - 1} more)" if len(verdict.faults) > 1 else ""
        raise PlanRejectedError(f"the plan was refused: {verdict.faults[0]}{more}", field="plan", verdict=verdict)
    return CheckedPlan(normalised(read, domain), domain, frozenset(granted), seal=_SEAL)


def judge(source: Plan | object, domain: Domain, granted: Set[str]) -> Verdict:
    """As `check`, with the tables of a domain that need not be a shipped one; a plan of another domain is at fault."""
    return _judge(source, granted, domain)[0]


def _judge(source: Plan | object, granted: Set[str], tables: Domain | None = None) -> tuple[Verdict, Plan | None]:
    read, faults = (source, []) if isinstance(source, Plan) else read_plan(source)
    if read is None:
        return Verdict(False, tuple(faults)), None
    plan = read
    if tables is not None and (plan.domain, plan.version) == (tables.name, tables.version):
        domain: Domain | None = tables
    else:
        domain = find_domain(plan.domain, plan.version) if tables is None else None
    if domain is None:
        faults.append(_domain_fault(plan))
    else:
        found = check_plan(plan, domain, granted)
        if faults:  # what could not be read is not judged
            unread = {fault.step for fault in faults if fault.code == "malformed"}
            found = [fault for fault in found if fault.code not in EFFECT_CODES]
            found = [fault for fault in found if fault.code != "unknown_skill" or fault.step not in unread]
        faults.extend(found)
        if domain.confirmed and not faults:
            return Verdict(True, (), _to_confirm(plan, domain)), plan
    return (Verdict(False, tuple(faults)) if faults else _ACCEPTED), plan


def _to_confirm(plan: Plan, domain: Domain) -> tuple[str, ...]:
    confirmed = domain.confirmed
    return tuple(step.id for step in plan.steps if step.skill in confirmed) if confirmed else ()


def _domain_fault(plan: Plan) -> Fault:
    versions = domain_versions(plan.domain)
    if not versions:
        message = f"there is no domain {shown(plan.domain)}"
        return Fault("unknown_domain", None, message, nearest(plan.domain, domain_names()))
    message = f"{plan.domain} has no version {plan.version}"
    return Fault("unknown_version", None, message, f"use version {quoted(map(str, versions))}")
