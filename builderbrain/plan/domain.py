"""What the runtime knows of a domain: plain tables, written out by the generator, so that no YAML is read at run time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from builderbrain.plan.faults import Fault
    from builderbrain.plan.model import Step
    from builderbrain.plan.scope import Scope

ArgumentCheck = Callable[["Step", "Scope", "list[Fault]"], None]
"""Checks the arguments of one step; appends to the faults."""

OK_RESULT = "ok"
"""Result that every step has: whether it ran without a failure."""


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a skill. `default` is None when there is none (no type has None as a value)."""

    type: str
    required: bool = False
    default: Any = None
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class Skill:
    """One skill: arguments in the order of the text form, result types by name (`ok` among them), the generated check."""

    name: str
    summary: str
    safety: str
    timeout_seconds: float
    arguments: Mapping[str, Argument]
    results: Mapping[str, str]
    check: ArgumentCheck


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One version of a domain.

    `data_edges`, `condition_edges` and `sequence_edges` give for a skill the skills that it may need in that way.
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
