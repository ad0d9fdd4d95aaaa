"""What a plan is: a typed DAG of skill calls, immutable once built.

A plan has one normal form (see `normal.py`), which both readers produce, so that JSON and text convert without loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Reference:
    """The value of an earlier step's result: `s1.first_path`, in JSON `"${s1.first_path}"`."""

    step: str
    result: str

    def __str__(self) -> str:
        return f"{self.step}.{self.result}"


Scalar = str | int | float | bool
Value = Scalar | tuple[Scalar, ...] | Reference
"""What an argument can hold. Values read from untrusted JSON may be anything; the checker calls those ill-typed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a skill.

    Args:
        id: `s1`, `s2`, ... by position.
        skill: name of the skill.
        args: argument values by name; copied and read-only.
        needs: ids of the steps that must finish first, those that a reference implies among them.
        condition: text of the `if` expression, or None.
    """

    id: str
    skill: str
    args: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    condition: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", MappingProxyType(dict(self.args)))


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps of one domain and version, in an order in which they could run one after the other."""

    domain: str
    version: int
    steps: tuple[Step, ...]
