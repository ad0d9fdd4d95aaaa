"""The decision problem of each bundled domain with tools: what may be looked up at which cost, which acts end a request, and
what an act is worth. Costs and utilities are in one unit, "utility": 1 is a request served as well as it can be.

A request says that things are so ("it is defined in src/parser.py", "the lamp costs 41"), and the hidden `kind` says how
they are. The request's `cue` is how sure the person sounded. A read-only tool tells something about the kind. The utility
of an act depends on kind and act alone, never on what was looked up before: then what a lookup is worth is what it tells,
and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KINDS = ("as_said", "otherwise", "several", "absent")
"""As the person said; one thing, but another; several that fit; none."""
CUES = ("sure", "guess", "doubt", "vague")
"""How the person words the request."""
ACTS = ("confirm", "redirect", "ask", "refuse")
"""Do it as said; name the other; ask the person which; say that there is none."""


@dataclass(frozen=True, kw_only=True)
class DecisionDomain:
    """What a gate may choose from in a domain.

    Args:
        name: the domain.
        costs: read-only tools by name, with what one call costs (time, money, a person's patience).
        utilities: by kind, the utility of each act in the order of `ACTS`.
        harmful: pairs of kind and act that do harm, the labels of the risk head.
    """

    name: str
    costs: Mapping[str, float]
    utilities: Mapping[str, tuple[float, ...]]
    harmful: frozenset[tuple[str, str]] = frozenset()

    def utility(self, kind: str, act: str) -> float:
        """What an act is worth under a kind."""
        return self.utilities[kind][ACTS.index(act)]

    def best(self, kind: str) -> float:
        """What somebody gets who knows the kind and pays nothing."""
        return max(self.utilities[kind])


DECISION_DOMAINS: tuple[DecisionDomain, ...] = (
    DecisionDomain(
        name="repo_assistant",
        costs={"list": 0.05, "read": 0.12, "search": 0.26},
        utilities={
            "as_said": (1.0, -0.6, 0.3, -1.0),
            "otherwise": (-0.8, 0.9, 0.3, -0.8),
            "several": (-0.3, 0.0, 0.7, -0.6),
            "absent": (-1.0, -0.8, 0.1, 1.0),
        },
        harmful=frozenset({("as_said", "refuse"), ("absent", "confirm")}),
    ),
    DecisionDomain(
        name="synthetic_orders",
        costs={"find": 0.22},
        utilities={
            "as_said": (1.0, -0.4, 0.4, -0.6),
            "otherwise": (-1.5, 0.9, 0.4, -0.3),
            "several": (-0.5, 0.2, 0.7, -0.4),
            "absent": (-2.0, -0.6, 0.1, 0.8),
        },
        harmful=frozenset({("otherwise", "confirm"), ("absent", "confirm")}),
    ),
    DecisionDomain(
        name="synthetic_appointments",
        costs={"find": 0.1, "list": 0.24},
        utilities={
            "as_said": (1.0, -0.2, 0.5, -0.8),
            "otherwise": (-0.8, 1.0, 0.5, -0.4),
            "several": (0.1, 0.3, 0.8, -0.6),
            "absent": (-1.0, -0.8, 0.2, 0.7),
        },
        harmful=frozenset({("absent", "confirm")}),
    ),
    DecisionDomain(
        name="synthetic_incidents",
        costs={"find": 0.08, "read": 0.24, "measure": 0.15},
        utilities={
            "as_said": (1.0, -0.8, 0.2, -1.2),
            "otherwise": (-1.5, 1.0, 0.2, -1.0),
            "several": (-0.6, -0.2, 0.6, -0.8),
            "absent": (-1.2, -1.2, 0.1, 1.0),
        },
        harmful=frozenset({("otherwise", "confirm"), ("absent", "confirm"), ("absent", "redirect")}),
    ),
)
"""SCAN has no tools, so nothing can be asked there."""


def decision_domain(name: str) -> DecisionDomain:
    """The decision problem of a domain.

    Raises:
        KeyError: it has none.
    """
    return {domain.name: domain for domain in DECISION_DOMAINS}[name]
