"""Whether what is asked is still like what the thresholds were fitted on: a conformal test martingale.

Each request's feature x_t (its confidence, its length) is ranked among the n of the calibration and those asked before it:

    p_t = (#{i <= t: x_i < x_t} + U #{i <= t: x_i = x_t}) / (n + t),      U uniform, i over all of them, t itself among them

While all are exchangeable p_1, p_2, ... are independent and uniform on [0, 1] (Vovk, Gammerman and Shafer 2005), ties and all.
A gambler bets against that: capital is multiplied by 1 + e (p - 1/2) or 1 + e (|2 p - 1| - 1/2), whose mean is 1, with
several slopes e; some of the capital moves between the bets at each step, so that the best one is found however late the
shift comes ("Simple Jumper", Vovk et al. 2021, with more bets). The capital is a martingale from 1 on: by Ville's inequality it
ever reaches 1 / level with a probability of at most `level`, whenever one looks.

After an alarm, and after `MOST_REQUESTS`, the test begins anew with the calibration alone. The k-th test has the level
6 level / (pi k)^2, so that there is any false alarm, ever, with a probability of at most `level`.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence

import numpy as np

from builderbrain.errors import DataError

LEVEL = 0.01
"""Chance of any false alarm in the life of a table."""
MOST_REQUESTS = 100_000
_SLOPES = np.array([-1.6, -0.6, 0.6, 1.6] * 2 + [0.0])
_SPREAD = np.array([False] * 4 + [True] * 4 + [False])
_JUMP = 0.01


class ConformalMartingale:
    """The log of the capital for one feature; mutable, one thread at a time."""

    def __init__(self, reference: Sequence[float], rng: np.random.Generator) -> None:
        """`reference`: the feature of the requests of the calibration, in any order."""
        self._seen = sorted(reference)
        self._rng = rng
        self._capital = np.full(len(_SLOPES), 1.0 / len(_SLOPES))
        self.log_capital = 0.0

    def update(self, value: float) -> float:
        """Take one request's feature; returns the log of the capital."""
        return self.bet(self._rank(value))

    def bet(self, p: float) -> float:
        """Take one p-value; returns the log of the capital."""
        gain = np.where(_SPREAD, abs(2.0 * p - 1.0) - 0.5, p - 0.5)
        capital = ((1.0 - _JUMP) * self._capital + _JUMP / len(_SLOPES)) * (1.0 + _SLOPES * gain)
        total = float(capital.sum())
        self._capital = capital / total
        self.log_capital += math.log(total)
        return self.log_capital

    def _rank(self, value: float) -> float:
        less, up_to = bisect_left(self._seen, value), bisect_right(self._seen, value)
        insort(self._seen, value)
        return float((less + self._rng.random() * (up_to - less + 1)) / len(self._seen))


class ShiftTest:
    """A test over several features: the mean of their capitals, which is one too. Mutable, one thread at a time.

    Args:
        reference: by feature, of the requests of the calibration.
        level: chance of any false alarm.
        tests: how many tests began before, over all lives of the process.
        seed: of the draws among ties.
    """

    def __init__(
        self,
        reference: Mapping[str, Sequence[float]],
        *,
        level: float = LEVEL,
        tests: int = 0,
        seed: int | None = None,
        most_requests: int = MOST_REQUESTS,
    ) -> None:
        if not reference or not all(reference.values()):
            raise DataError("expected features of at least one request of the calibration, got none", field="reference")
        self._reference = {name: tuple(row) for name, row in reference.items()}
        self._level = level
        self._most = most_requests
        self._rng = np.random.default_rng(seed)
        self.tests = tests
        self._begin()

    @property
    def log_capital(self) -> float:
        """Of the present test."""
        logs = [martingale.log_capital for martingale in self._martingales.values()]
        return float(np.logaddexp.reduce(logs)) - math.log(len(logs))

    @property
    def log_limit(self) -> float:
        """The log of the capital at which the present test gives alarm."""
        return math.log((math.pi * self.tests) ** 2 / (6.0 * self._level))

    def observe(self, features: Mapping[str, float]) -> bool:
        """Take one request; True when it gives alarm, and the next test begins.

        Raises:
            DataError: a feature of the calibration is missing or not finite; `field` names it.
        """
        for name in self._reference:
            if not math.isfinite(features.get(name, math.nan)):
                raise DataError(f"{name}: expected a finite number, got {features.get(name)}", field=name)
        for name, martingale in self._martingales.items():
            martingale.update(float(features[name]))
        self.requests += 1
        alarm = self.log_capital >= self.log_limit
        if alarm or self.requests >= self._most:
            self._begin()
        return alarm

    def _begin(self) -> None:
        self.tests += 1
        self.requests = 0
        self._martingales = {name: ConformalMartingale(row, self._rng) for name, row in self._reference.items()}
