"""Watching a version on live traffic until it has shown that it is safe, and for as long as it is live.

Every request is an outcome for several metrics: the rise in V_s against the version before, violations of hard rules, and
deferrals. Each metric has a limit on its rate of harm, and a pair of e-processes over all requests and over those of each
declared domain (`sequential`), so that looking after each request costs nothing.

**Rollback.** A mean of e-processes with weights fixed beforehand is an e-process, so the weighted mean of all the "harmful"
ones reaches 1 / alpha with probability at most alpha over the whole life of a version that is within every limit: that is
the correction for many metrics and domains. Half of the weight lies on all requests together, half on the domains.

**Passing.** A version has passed when *each* "safe" e-process over all requests and over each declared domain has reached
1 / alpha_pass: if one rate is at its limit or above, that one does so with probability at most alpha_pass. Time does not enter:
in quiet hours nothing passes, and a version with too little traffic stays `watching` for ever. No data is not success.

The rollback latches. `state` and `restore` carry all of it over a restart. Durations are not kept, so no clock can matter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from builderbrain.errors import ConfigError
from builderbrain.gate.sequential import Direction, EProcess

Metric = Literal["risk", "violation", "deferral"]
Phase = Literal["watching", "passed", "roll back"]
EVERYWHERE = ""
"""The stream of all requests, whatever their domain."""
DEFAULT_LIMITS: Mapping[Metric, float] = {"risk": 0.05, "violation": 0.02, "deferral": 0.3}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one request showed.

    `delta` is V_s(new) - V_s(old), None when there is no valid reading, which is harm. `violation`: a hard rule was broken, the
    version crashed, timed out, or its logits were not finite. `deferred`: the answer was a question to a person.
    """

    domain: str
    delta: float | None
    violation: bool = False
    deferred: bool = False

    def harms(self, tolerance: float) -> dict[Metric, bool]:
        """Whether it counts as harm, per metric."""
        harmed = self.delta is None or not math.isfinite(self.delta) or self.delta > tolerance
        return {"risk": harmed, "violation": self.violation, "deferral": self.deferred}


@dataclass(kw_only=True)
class Canary:
    """Evidence on one version; mutable, used under one lock.

    Args:
        tolerance: a rise of V_s up to it is noise; take the one of the version's gate report.
        limits: largest acceptable rate of harm per metric; a version at its limit is not to be rolled back.
        domains: those with streams of their own. Requests of others count in the stream of all requests.
        alpha: chance of ever rolling back a version within all limits.
        alpha_pass: chance of passing a version that is beyond one.
    """

    version: str
    tolerance: float = 0.0
    limits: Mapping[Metric, float] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    domains: Sequence[str] = ()
    alpha: float = 0.01
    alpha_pass: float = 0.05
    latched: bool = False
    reason: str | None = None
    """Metric and domain that weighed most when it latched."""
    harmful: dict[str, EProcess] = field(default_factory=dict)
    safe: dict[str, EProcess] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("alpha", "alpha_pass"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(f"expected {name} between 0 and 1, got {getattr(self, name)}; 0.01 is usual", field=name)
        if not (math.isfinite(self.tolerance) and self.tolerance >= 0.0):
            raise ConfigError(f"expected a tolerance of 0 or more, got {self.tolerance}", field="tolerance")
        unknown = set(self.limits) - set(DEFAULT_LIMITS)
        if unknown or not self.limits:
            raise ConfigError(f"expected limits of {', '.join(DEFAULT_LIMITS)}, got {sorted(self.limits)}", field="limits")
        # In the order of the weights, whatever order a restored state has.
        self.harmful = {name: self.harmful.get(name, stream) for name, stream in self._streams("harmful").items()}
        self.safe = {name: self.safe.get(name, stream) for name, stream in self._streams("safe").items()}

    def observe(self, outcome: Outcome) -> Phase:
        """Take one request and say how the version stands."""
        harms = outcome.harms(self.tolerance)
        for metric in self.limits:
            for domain in {EVERYWHERE, outcome.domain}:
                name = f"{metric}/{domain}"
                if name in self.harmful:
                    self.harmful[name].update(harms[metric])
                    self.safe[name].update(harms[metric])
        self._decide()
        return self.phase

    def revise(self, domain: str) -> Phase:
        """A request that counted as no rise of the risk has turned out worse than the version before: a person said so."""
        for name in {f"risk/{EVERYWHERE}", f"risk/{domain}"} & set(self.harmful):
            self.harmful[name].revise()
            self.safe[name].revise()
        self._decide()
        return self.phase

    def _decide(self) -> None:
        if not self.latched and self.log_evidence() >= math.log(1.0 / self.alpha):
            self.latched = True
            worst = max(self.harmful, key=lambda name: self.harmful[name].log_value())
            stream = self.harmful[worst]
            named, _, domain = worst.partition("/")
            self.reason = f"{named} in {domain or 'all requests'}: {stream.harms} of {stream.observed}, limit {stream.limit:g}"

    @property
    def phase(self) -> Phase:
        """`roll back` for ever once latched; `passed` once every safe stream was sure; else `watching`."""
        if self.latched:
            return "roll back"
        bar = math.log(1.0 / self.alpha_pass)
        return "passed" if all(stream.log_maximum >= bar for stream in self.safe.values()) else "watching"

    @property
    def observed(self) -> int:
        """Requests so far."""
        return max(stream.observed for stream in self.harmful.values())

    def log_evidence(self) -> float:
        """log of the weighted mean of all harmful e-processes; compared with log(1 / alpha)."""
        values = np.array([stream.log_value() for stream in self.harmful.values()])
        return float(np.logaddexp.reduce(values + np.log(stream_weights(len(self.limits), len(self.domains)))))

    def missing(self) -> tuple[str, ...]:
        """Streams that are not yet sure to be safe, with their counts: what a person sees in quiet hours."""
        bar = math.log(1.0 / self.alpha_pass)
        return tuple(
            f"{name.rstrip('/')}: {stream.harms} of {stream.observed}"
            for name, stream in self.safe.items()
            if stream.log_maximum < bar
        )

    def state(self) -> dict[str, Any]:
        """JSON values from which `restore` rebuilds this canary."""
        return {**asdict(self), "domains": list(self.domains)}

    @staticmethod
    def restore(state: Mapping[str, Any]) -> Canary:
        """The canary as `state` left it.

        Raises:
            ConfigError: the state is not one of a canary.
        """
        try:
            streams: dict[str, Any] = {
                name: {key: EProcess(**value) for key, value in state[name].items()} for name in ("harmful", "safe")
            }
            return Canary(**{**state, "domains": tuple(state["domains"]), **streams})
        except (KeyError, TypeError, AttributeError) as error:
            message = f"the canary's state cannot be read ({error!r}); promote again to begin a new one"
            raise ConfigError(message, field="canary") from error

    def _streams(self, direction: Direction) -> dict[str, EProcess]:
        return {
            f"{metric}/{domain}": EProcess(limit=limit, direction=direction)
            for domain in (EVERYWHERE, *self.domains)
            for metric, limit in self.limits.items()
        }


def stream_weights(metrics: int, domains: int) -> np.ndarray:
    """Weights [(1 + domains) * metrics] of the streams, those of all requests first; they add up to 1."""
    if not domains:
        return np.full(metrics, 1.0 / metrics)
    return np.concatenate([np.full(metrics, 0.5 / metrics), np.full(domains * metrics, 0.5 / (domains * metrics))])
