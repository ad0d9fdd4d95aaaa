"""Algebraic claims, most of them true: identities with variables and numbers put in, some with a fault."""

from __future__ import annotations

import random

_IDENTITIES = (
    "({a}+{k})^2 = {a}^2+{m}*{a}+{s}",
    "({a}-{k})^2 = {a}^2-{m}*{a}+{s}",
    "({a}+{b})^2 = {a}^2+2*{a}*{b}+{b}^2",
    "({a}-{b})^2 = {a}^2-2*{a}*{b}+{b}^2",
    "{a}^2-{b}^2 = ({a}-{b})*({a}+{b})",
    "{a}^2-{s} = ({a}-{k})*({a}+{k})",
    "{a}*({b}+{k}) = {a}*{b}+{k}*{a}",
    "{k}*({a}+{b}) = {k}*{a}+{k}*{b}",
    "({a}+{b})*({a}+{c}) = {a}^2+{a}*{c}+{a}*{b}+{b}*{c}",
    "{a}^3-{b}^3 = ({a}-{b})*({a}^2+{a}*{b}+{b}^2)",
    "sin({a})^2+cos({a})^2 = 1",
    "exp({a}+{b}) = exp({a})*exp({b})",
    "log({a}*{b}) = log({a})+log({b})",
    "sqrt({a}^2) = abs({a})",
    "{a}+{b} = {b}+{a}",
    "{a}+{k} = {k}+{a}",
    "{k}{a}+{b} = {b}+{k}{a}",
    "({a}+{b})/{k} = {a}/{k}+{b}/{k}",
    "{a}/{k} = {a}*{k}/{s}",
    "{a}^{k} = {a}^2",
    "{a}*{b} = {k}",
    "{a}-{k} = {k}-{a}",
)
_NAMES = ("x", "x", "y", "z", "a", "b", "c", "n", "m", "p", "q", "t", "u", "v", "alpha", "beta", "x1", "x2", "width", "height")


def random_claim(rng: random.Random) -> str:
    """One claim, with or without blanks, in the language of `prove_algebra`."""
    first, second, third = rng.sample(sorted(set(_NAMES)), 3) if rng.random() < 0.7 else ("x", "y", "z")
    number = rng.randint(2, 12)
    claim = rng.choice(_IDENTITIES)
    for place, value in (("a", first), ("b", second), ("c", third), ("k", number), ("m", 2 * number), ("s", number * number)):
        claim = claim.replace(f"{{{place}}}", str(value))
    if rng.random() < 0.15:
        claim = f"{claim}+{rng.randint(1, 9)}"
    draw = rng.random()
    if draw < 0.4:
        return claim.replace(" ", "")
    if draw < 0.55:
        return claim.replace("+", " + ").replace("*", " * ").replace("-", " - ")
    return claim.replace("^", "**") if draw < 0.65 else claim.replace("=", "==") if draw < 0.7 else claim
