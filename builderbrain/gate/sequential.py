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
from dataclasses import dataclass
from typing import Literal

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
        self.log_maximum = max(self.log_maximum, self.log_value())
        return self.log_maximum

    def revise(self) -> float:
        """One of the harmless outcomes has turned out to be a harm: the counts become those of a stream that knew it at once.
        Until then E was that of fewer harms, so evidence of harm comes late and never too often."""
        self.harms = min(self.observed, self.harms + 1)
        self.log_maximum = max(self.log_maximum, self.log_value())
        return self.log_maximum

    def log_value(self) -> float:
        """log E now; what several streams are averaged by."""
        return float(log_e_value(np.array([self.observed]), np.array([self.harms]), self.limit, self.direction)[0])


def log_e_value(observed: np.ndarray, harms: np.ndarray, limit: float, direction: Direction) -> np.ndarray:
    """log E after `harms` harms among `observed` outcomes; arrays of any one shape, float64 out."""
    terms = []
    for factor in ODDS_FACTORS:
        odds = limit / (1.0 - limit) * (factor if direction == "harmful" else 1.0 / factor)
        rate = odds / (1.0 + odds)
        terms.append(harms * math.log(rate / limit) + (observed - harms) * math.log((1.0 - rate) / (1.0 - limit)))
    return np.logaddexp.reduce(np.stack(terms), axis=0) - math.log(len(ODDS_FACTORS))


def log_e_table(most: int, limit: float, direction: Direction) -> np.ndarray:
    """log E for all counts up to `most`, float64 [observed, harms]; cells with more harms than observed mean nothing."""
    counts = np.arange(most + 1)
    return log_e_value(counts[:, None], counts[None, :], limit, direction)
