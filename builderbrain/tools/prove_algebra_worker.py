"""Decides one claim with sympy, in a process of its own; writes one line of JSON. See `prove_algebra`.

The argument is JSON: `left`, `right` (trees of `claim`), `names`. First both sides are computed at points, exactly where they
are rational and to 50 digits elsewhere: one point where they differ refutes the claim. Then the difference is simplified: a
difference that becomes 0 proves it. A point counts only where both sides are defined over the real numbers.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import sympy

POINTS = 40
WANTED_POINTS = 16
DIGITS = 50
DIFFERS = sympy.Float("1e-25", DIGITS)
_SMALL = [sympy.Rational(text) for text in ("2", "-1", "1/2", "3", "0", "1", "-2", "5/3", "-1/3", "7")]


class UndefinedError(ArithmeticError):
    """Here a side has no real value."""


def symbolic(tree: list[Any], symbols: dict[str, Any]) -> Any:
    """The tree as an expression of sympy."""
    kind, *rest = tree
    if kind == "number":
        return sympy.Rational(rest[0])
    if kind == "name":
        return symbols[rest[0]]
    if kind == "constant":
        return {"pi": sympy.pi, "e": sympy.E}[rest[0]]
    operands = [symbolic(each, symbols) for each in rest]
    return OPERATIONS[kind](*operands)


def _divided(left: Any, right: Any) -> Any:
    if right == 0:
        raise UndefinedError
    return left / right


def _power(base: Any, exponent: Any) -> Any:
    if base == 0 and exponent.is_number and not exponent.is_positive:
        raise UndefinedError
    return base**exponent


OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divided,
    "^": _power,
    "negative": lambda value: -value,
    "sqrt": sympy.sqrt,
    "abs": sympy.Abs,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "exp": sympy.exp,
    "log": sympy.log,
}


def value_at(tree: list[Any], point: dict[str, Any]) -> Any:
    """The exact value of a tree at a point.

    Raises:
        UndefinedError: some part of it has no real value there.
    """
    kind, *rest = tree
    if kind in ("number", "name", "constant"):
        return symbolic(tree, point)
    operands = [value_at(each, point) for each in rest]
    if kind == "log" and not operands[0] > 0:
        raise UndefinedError
    value = OPERATIONS[kind](*operands)
    if value.has(sympy.zoo, sympy.nan, sympy.oo) or not value.is_real:
        raise UndefinedError
    return value


def points(names: list[str]) -> Iterator[dict[str, Any]]:
    """Simple points first, then drawn ones."""
    draw = random.Random(0)
    if not names:
        yield {}
        return
    shifts = [dict(zip(names, itertools.islice(itertools.cycle(_SMALL), start, None), strict=False)) for start in range(10)]
    yield from shifts
    while True:
        yield {name: sympy.Rational(draw.randint(-60, 60), draw.randint(1, 12)) for name in names}


def written(value: Any) -> str:
    """A value in a few digits: a rational with short parts as it is, any other rounded."""
    short = value.is_Rational and max(abs(value.p), value.q) < 10**30
    return str(value if short else sympy.N(value, 12))


def decide(left: list[Any], right: list[Any], names: list[str]) -> dict[str, Any]:
    """The verdict with its reason."""
    defined = 0
    for point in itertools.islice(points(names), POINTS):
        try:
            sides = value_at(left, point), value_at(right, point)
        except UndefinedError:
            continue
        defined += 1
        difference = sides[0] - sides[1]
        differs = difference != 0 if difference.is_rational else abs(sympy.N(difference, DIGITS)) > DIFFERS
        if differs:
            shown = ", ".join(f"{name} = {value}" for name, value in point.items())
            values = " and ".join(map(written, sides))
            return {"verdict": "fails", "counterexample": shown or "no variables", "reason": f"there the sides are {values}"}
        if defined >= WANTED_POINTS:
            break
    if not defined:
        return {"verdict": "unknown", "counterexample": None, "reason": "no point was found where both sides are defined"}
    symbols = {name: sympy.Symbol(name, real=True) for name in names}
    try:
        difference = symbolic(left, symbols) - symbolic(right, symbols)
    except UndefinedError:
        return {"verdict": "unknown", "counterexample": None, "reason": "a part of it is undefined everywhere"}
    for named, simplified in (
        ("expanding", sympy.expand),
        ("a common denominator", lambda value: sympy.expand(sympy.fraction(sympy.together(value))[0])),
        ("trigonometric rules", sympy.trigsimp),
        ("simplifying", sympy.simplify),
    ):
        if simplified(difference) == 0:
            return {"verdict": "holds", "counterexample": None, "reason": f"the difference of the sides is 0, by {named}"}
    reason = f"the sides agree at {defined} points, which is no proof, and their difference does not become 0"
    return {"verdict": "unknown", "counterexample": None, "reason": reason}


def main() -> None:
    """Decide the claim in the first argument."""
    request = json.loads(sys.argv[1])
    try:
        verdict = decide(request["left"], request["right"], request["names"])
    except (MemoryError, RecursionError):
        verdict = {"verdict": "unknown", "counterexample": None, "reason": "it takes more memory than is given"}
    print(json.dumps(verdict))


if __name__ == "__main__":
    main()
