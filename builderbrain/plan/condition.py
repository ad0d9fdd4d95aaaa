"""The expression language of `if`, small enough to read at a glance and never handed to `eval`.

    condition  = term { " and " term } | term { " or " term }
    term       = [ "not " ] reference | reference " " operator " " literal
    operator   = "==" | "!=" | "<" | "<=" | ">" | ">="
    literal    = integer | JSON string

No parentheses and no mixture of `and` with `or`: what a plan needs beyond that is a second step. A bare reference is
boolean. Integers and numbers take every operator, strings and paths take `==` and `!=`; texts and lists take none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.model import Reference

MAX_CONDITION_LENGTH = 512
MAX_TERMS = 8

_TERM = re.compile(
    r"(?P<not>not )?(?P<step>[A-Za-z_][A-Za-z0-9_]{0,63})\.(?P<result>[a-z][a-z0-9_]{0,63})"
    r'(?: (?P<operator>==|!=|<=|>=|<|>) (?P<literal>-?(?:0|[1-9][0-9]{0,17})(?![0-9.])|"(?:[^"\\\x00-\x1f]|\\.)*"))?'
)
_ORDERED_TYPES = frozenset({"integer", "number"})
_EQUAL_TYPES = frozenset({"string", "path"})


@dataclass(frozen=True, slots=True)
class Term:
    """`reference`, `not reference`, or `reference operator literal` (then `negated` is False)."""

    reference: Reference
    negated: bool = False
    operator: str | None = None
    literal: int | str | None = None

    def __str__(self) -> str:
        if self.operator is None:
            return f"not {self.reference}" if self.negated else str(self.reference)
        literal = json.dumps(self.literal, ensure_ascii=False)
        return f"{self.reference} {self.operator} {literal}"


@dataclass(frozen=True, slots=True)
class Condition:
    """Terms joined by `connective` (`and` or `or`); a single term is joined by `and`."""

    terms: tuple[Term, ...]
    connective: str = "and"

    def __str__(self) -> str:
        return f" {self.connective} ".join(map(str, self.terms))


@lru_cache(maxsize=4096)
def parse_condition(text: str) -> Condition:
    """Parse a condition in its canonical spacing.

    Raises:
        PlanSyntaxError: not a condition; names the column. `field` is `if`.
    """
    if len(text) > MAX_CONDITION_LENGTH:
        raise PlanSyntaxError(f"a condition has at most {MAX_CONDITION_LENGTH} characters, got {len(text)}", field="if")
    terms: list[Term] = []
    connective: str | None = None
    position = 0
    while True:
        match = _TERM.match(text, position)
        if match is None:
            raise _syntax(text, position, "a term such as s1.ok, not s1.ok or s1.count > 0")
        terms.append(_term(text, match))
        position = match.end()
        if len(terms) > MAX_TERMS:
            raise PlanSyntaxError(f"a condition has at most {MAX_TERMS} terms; use another step", field="if")
        if position == len(text):
            return Condition(tuple(terms), connective or "and")
        joined = next((word for word in ("and", "or") if text.startswith(f" {word} ", position)), None)
        if joined is None:
            raise _syntax(text, position, "' and ', ' or ' or the end")
        if connective not in (None, joined):
            raise _syntax(text, position, f"' {connective} ' again, since and and or do not mix")
        connective = joined
        position += len(joined) + 2


def _term(text: str, match: re.Match[str]) -> Term:
    reference = Reference(match["step"], match["result"])
    operator, literal = match["operator"], match["literal"]
    if operator is None:
        return Term(reference, match["not"] is not None)
    if match["not"] is not None:
        raise _syntax(text, match.start(), "a comparison without not; turn its operator round")
    if not literal.startswith('"'):
        return Term(reference, operator=operator, literal=int(literal))
    try:
        string = json.loads(literal)
        string.encode("utf-8")
        if "\0" in string:
            raise ValueError("no value holds a NUL")
    except ValueError:
        raise _syntax(text, match.start("literal"), "a JSON string literal of whole characters") from None
    return Term(reference, operator=operator, literal=string)


def _syntax(text: str, position: int, expected: str) -> PlanSyntaxError:
    got = text[position : position + 24] or "the end"
    return PlanSyntaxError(f"condition, column {position + 1}: expected {expected}, got {got!r}", field="if")


def type_fault(term: Term, kind: str) -> str | None:
    """What is wrong with a term whose reference has the type `kind`, or None."""
    if term.operator is None:
        return None if kind == "boolean" else f"{term.reference} is a {kind}; compare it with something"
    if kind in _ORDERED_TYPES:
        return None if type(term.literal) is int else f"{term.reference} is a {kind}; compare it with a number"
    if kind in _EQUAL_TYPES:
        if term.operator not in ("==", "!="):
            return f"{term.reference} is a {kind}; only == and != compare it"
        return None if type(term.literal) is str else f"{term.reference} is a {kind}; compare it with a string"
    return f"{term.reference} is a {kind}, which cannot be compared{'; use it alone' if kind == 'boolean' else ''}"


def holds(condition: Condition, lookup: Callable[[Reference], object]) -> bool:
    """Evaluate on real results.

    Args:
        lookup: the value of a reference; None when the step gave no such value (it failed, did not run, or found none).
            A bare missing value is false (so `not s1.ok` is true), a comparison with one is false.
    """
    outcomes = (_term_holds(term, lookup(term.reference)) for term in condition.terms)
    return any(outcomes) if condition.connective == "or" else all(outcomes)


def _term_holds(term: Term, value: object) -> bool:
    if term.operator is None:
        return (value is True) != term.negated
    literal = term.literal
    if term.operator in ("==", "!="):
        return value is not None and (value == literal) == (term.operator == "==")
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(literal, int):
        return False
    if term.operator in ("<", "<="):
        return value < literal or (term.operator == "<=" and value == literal)
    return value > literal or (term.operator == ">=" and value == literal)


@dataclass(frozen=True, slots=True)
class Implications:
    """What follows about the steps that a condition asks about when it holds.

    `asked`: every step it names; `done`: those that must have succeeded; `not_done`: those that cannot have.
    """

    asked: frozenset[str]
    done: frozenset[str]
    not_done: frozenset[str]


@lru_cache(maxsize=4096)
def implications(text: str) -> Implications:
    """What follows when a condition holds. A value is there only of a step that succeeded, so most terms imply that.

    Raises:
        PlanSyntaxError: as `parse_condition`.
    """
    terms = parse_condition(text).terms
    done = [{term.reference.step} if not term.negated else set() for term in terms]
    not_done = [{term.reference.step} if term.negated and term.reference.result == "ok" else set() for term in terms]
    together = set.intersection if parse_condition(text).connective == "or" else set.union
    return Implications(
        frozenset(term.reference.step for term in terms), frozenset(together(*done)), frozenset(together(*not_done))
    )


@lru_cache(maxsize=16384)
def contradict(first: str, second: str) -> bool:
    """Whether two conditions can never hold in the same run, since of any two ways for them to hold two terms clash.

    Terms clash when no value satisfies both (`s1.count > 3` and `s1.count < 2`). With `first == second`: the condition
    itself never holds.
    """
    return all(any(_clash(one, other) for one in way for other in another) for way in _ways(first) for another in _ways(second))


def _ways(text: str) -> list[tuple[Term, ...]]:
    """Terms that make a condition hold when they all do, one way after the other."""
    condition = parse_condition(text)
    return [(term,) for term in condition.terms] if condition.connective == "or" else [condition.terms]


def _clash(one: Term, other: Term) -> bool:
    if one.reference != other.reference:
        return False
    values: list[object] = [True, False, None]
    for term in (one, other):
        if isinstance(term.literal, int):
            values += [term.literal - 1, term.literal, term.literal + 1]
        elif term.literal is not None:
            values += [term.literal, f"{term.literal}x"]
    if isinstance(one.literal, int) and isinstance(other.literal, int):
        values.append((one.literal + other.literal) / 2)
    return not any(_term_holds(one, value) and _term_holds(other, value) for value in values)
