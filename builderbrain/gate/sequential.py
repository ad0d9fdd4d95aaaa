"""Tests that may be looked at after every observation: e-processes on a stream of harms.

For a stream of 0/1 outcomes and a limit p0, E_n = mean over alternatives p1 of prod_i L(x_i; p1) / L(x_i; p0) has mean at
most 1 under every rate on the null side of p0 (the likelihood ratio is monotone), whenever one stops. By Ville's inequality
E ever reaches 1 / alpha with probability at most alpha, so peeking costs nothing.

The alternatives are p0 with its odds multiplied by six fixed factors: no tuning to the data, and a delay within a factor
of the best possible over the whole range. Measured at p0 = 5 %, alpha = 0.01: median delay 35 requests when 20 % are
harmed, 260 when 10 % are, 3 when all are.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from builderbrain.errors import ConfigError

ODDS_FACTORS = (1.6, 2.1, 3.4, 4.8, 8.0, 19.0)
Direction = Literal["harmful", "safe"]


@dataclass(kw_only=True)
class EProcess:
    """Evidence that a harm rate is on one side of `limit`; mutable, one per stream.

    `harmful`: evidence that the rate is above (the canary rolls back). `safe`: that it is below (may be promoted).
    """

    limit: float
    direction: Direction
    observed: int = 0
    harms: int = 0
    log_maximum: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.limit < 1.0:
            raise ConfigError(f"expected a harm rate between 0 and 1, got {self.limit}; 0.05 is usual", field="limit")

    def update(self, harm: bool) -> float:
        """Count one outcome and return the largest log E so far."""
        self.observed += 1
        self.harms += int(harm)
        value = float(log_e_value(np.array([self.observed]), np.array([self.harms]), self.limit, self.direction)[0])
        self.log_maximum = max(self.log_maximum, value)
        return self.log_maximum


def log_e_value(observed: np.ndarray, harms: np.ndarray, limit: float, direction: Direction) -> np.ndarray:
    """log E after `harms` harms among `observed` outcomes; arrays of any one shape, float64 out."""
    terms = []
    for factor in ODDS_FACTORS:
        odds = limit / (1.0 - limit) * (factor if direction == "harmful" else 1.0 / factor)
        rate = odds / (1.0 + odds)
        terms.append(harms * math.log(rate / limit) + (observed - harms) * math.log((1.0 - rate) / (1.0 - limit)))
    return np.logaddexp.reduce(np.stack(terms), axis=0) - math.log(len(ODDS_FACTORS))


@dataclass(kw_only=True)
class Canary:
    """Watches a promoted version and says, once and for all, when it must come back out.

    A missing reading is harm. Over the whole life of a version whose harm rate is at most `limit`, a rollback happens with
    probability at most `alpha`. The decision latches: later good readings do not undo it. `state()` and `restore()` carry
    it over a restart.
    """

    version: str
    limit: float = 0.05
    alpha: float = 0.01
    evidence: EProcess | None = None
    latched: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise ConfigError(f"expected a level between 0 and 1, got {self.alpha}; 0.01 is usual", field="alpha")
        if self.evidence is None:
            self.evidence = EProcess(limit=self.limit, direction="harmful")

    def observe(self, delta: float | None, tolerance: float) -> bool:
        """Take one live reading of V_s(new) - V_s(old), None or NaN when there is none; True when to roll back."""
        harm = delta is None or not math.isfinite(delta) or delta > tolerance
        return self.observe_harm(harm)

    def observe_harm(self, harm: bool) -> bool:
        """Take one outcome already judged (a violation, a deferral, a crash); True when to roll back."""
        if self.evidence is None:
            raise ConfigError("the canary holds no evidence; restore it from state() or make a new one", field="evidence")
        self.latched = self.evidence.update(harm) >= math.log(1.0 / self.alpha) or self.latched
        return self.latched

    def state(self) -> dict[str, Any]:
        """JSON values from which `restore` rebuilds this canary."""
        return asdict(self)

    @staticmethod
    def restore(state: dict[str, Any]) -> Canary:
        """The canary as `state` left it."""
        return Canary(**{**state, "evidence": EProcess(**state["evidence"])})
