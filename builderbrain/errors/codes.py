"""From the `code` of an error to its class, severity and recovery, for what has the code alone: a trace, a ledger, a log."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from builderbrain.errors import models, plans, serving, training  # noqa: F401 - their classes are what is looked through
from builderbrain.errors.base import SEVERITIES, BuilderBrainError, Classification

CODES_WITHOUT_A_CLASS = {
    "internal": Classification("integration", "high", "operate"),  # an exception that nobody foresaw
    "no_such_route": Classification("integration", "low", "correct"),
    "precondition_lost": Classification("plan", "medium", "fallback"),  # a fact that a step requires holds no more
    "unknown_effect": Classification("safety", "high", "ask"),  # a step with effects that does not say what it did
}


def known_errors() -> Iterator[type[BuilderBrainError]]:
    """Every class of error, each after the one it is of."""
    waiting: list[type[BuilderBrainError]] = [BuilderBrainError]
    while waiting:
        found = waiting.pop(0)
        yield found
        waiting[:0] = found.__subclasses__()


def classify(code: str) -> Classification:
    """How the errors of a code are classed; of two with one code, the worse. An unknown code is one that nobody foresaw."""
    return _by_code().get(code, CODES_WITHOUT_A_CLASS["internal"])


@cache
def _by_code() -> dict[str, Classification]:
    found: dict[str, Classification] = dict(CODES_WITHOUT_A_CLASS)
    for kind in known_errors():
        if kind.__module__.startswith("builderbrain.errors."):
            known = found.setdefault(kind.code, kind.classification)
            found[kind.code] = min(known, kind.classification, key=lambda one: SEVERITIES.index(one.severity))
    return found
