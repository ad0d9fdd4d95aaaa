"""The language of algebraic claims: `left = right`, read into a tree by a grammar of its own. Nothing is run as code.

    claim  = sum ("=" | "==") sum
    sum    = term { ("+" | "-") term }
    term   = unary { ("*" | "/") unary }      2x and 2(x+1) are products as well
    unary  = ["+" | "-"] unary | power
    power  = atom [ ("^" | "**") unary ]
    atom   = number | name | function "(" sum ")" | "(" sum ")"

Functions: sqrt, abs, sin, cos, tan, exp, log (ln). Constants: pi, e. Every other name is a variable for a real number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from builderbrain.errors import ToolError

FUNCTIONS = frozenset({"sqrt", "abs", "sin", "cos", "tan", "exp", "log"})
CONSTANTS = frozenset({"pi", "e"})
MAX_CHARACTERS = 512
MAX_DEPTH = 40
MAX_NAMES = 8
MAX_DIGITS = 30
MAX_EXPONENT = 64
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?|\.\d+)|([A-Za-z][A-Za-z0-9_]*)|(\*\*|==|[-+*/^=()]))", re.ASCII)

Tree = list[Any]
"""`[operation, operand, ...]`: `["number", "1.5"]`, `["name", "x"]`, `["constant", "pi"]`, `["+", Tree, Tree]` and so with `-`,
`*`, `/`, `^`; `["negative", Tree]`, `["sqrt", Tree]` and so with the other functions."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """That two sides are equal wherever both are defined over the real numbers; `names` are its variables, by name."""

    left: Tree
    right: Tree
    names: tuple[str, ...]


def parse_claim(text: str) -> Claim:
    """Read a claim.

    Raises:
        ToolError: names the place, what was expected and what came; `field` is `claim`.
    """
    if len(text) > MAX_CHARACTERS:
        raise _fault(f"a claim has at most {MAX_CHARACTERS} characters, got {len(text)}")
    return _Reader(text).claim()


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0
        self._names: set[str] = set()

    def claim(self) -> Claim:
        left = self._sum()
        if self._next() not in ("=", "=="):
            self._at -= 1
            raise self._expected("= between two sides")
        right = self._sum()
        if self._peek():
            raise self._expected("the end of the claim")
        if len(self._names) > MAX_NAMES:
            raise _fault(f"a claim has at most {MAX_NAMES} variables, got {len(self._names)}")
        return Claim(left=left, right=right, names=tuple(sorted(self._names)))

    def _sum(self) -> Tree:
        tree = self._term()
        while self._peek() in ("+", "-"):
            tree = [self._next(), tree, self._term()]
        return tree

    def _term(self) -> Tree:
        tree = self._unary()
        while True:
            if self._peek() in ("*", "/"):
                tree = [self._next(), tree, self._unary()]
            elif tree[0] == "number" and (self._peek() == "(" or self._peek()[:1].isalpha()):
                tree = ["*", tree, self._unary()]
            else:
                return tree

    def _unary(self) -> Tree:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _fault(f"a claim is nested at most {MAX_DEPTH} deep")
        if self._peek() in ("+", "-"):
            tree = ["negative", self._unary()] if self._next() == "-" else self._unary()
        else:
            tree = self._power()
        self._depth -= 1
        return tree

    def _power(self) -> Tree:
        base = self._atom()
        if self._peek() not in ("^", "**"):
            return base
        self._next()
        exponent = self._unary()
        if exponent[0] == "number" and float(exponent[1]) > MAX_EXPONENT:
            raise _fault(f"an exponent is at most {MAX_EXPONENT}, got {exponent[1]}")
        return ["^", base, exponent]

    def _atom(self) -> Tree:
        token = self._next()
        if token[:1].isdigit() or token[:1] == ".":
            return ["number", token]
        if token == "(":
            tree = self._sum()
            self._close()
            return tree
        name = "log" if token == "ln" else token
        if name in FUNCTIONS:
            if self._next() != "(":
                self._at -= 1
                raise self._expected(f"( after {name}")
            tree = self._sum()
            self._close()
            return [name, tree]
        if name in CONSTANTS:
            return ["constant", name]
        if not name[:1].isalpha():
            self._at -= 1
            raise self._expected("a number, a name or (")
        if self._peek() == "(":
            raise _fault(f"{name} is no function here; there are {', '.join(sorted(FUNCTIONS))} (a product needs *)")
        self._names.add(name)
        return ["name", name]

    def _close(self) -> None:
        if self._next() != ")":
            self._at -= 1
            raise self._expected(")")

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expected(self, wanted: str) -> ToolError:
        came = repr(self._peek()) if self._peek() else "the end"
        return _fault(f"expected {wanted} as part {self._at + 1} of the claim, got {came}")


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _fault(f"expected numbers, names, + - * / ^ = and parentheses, got {text[at:].strip()[:1]!r}")
        token = match[1] or match[2] or match[3]
        if match[1] and len(token) > MAX_DIGITS:
            raise _fault(f"a number has at most {MAX_DIGITS} digits, got {len(token)}")
        if match[2] and len(token) > MAX_DIGITS:
            raise _fault(f"a name has at most {MAX_DIGITS} characters, got {len(token)}")
        found.append(token)
        at = match.end()
    return found


def _fault(message: str) -> ToolError:
    return ToolError(f"{message}; write it like (x+1)^2 = x^2 + 2*x + 1", field="claim")
