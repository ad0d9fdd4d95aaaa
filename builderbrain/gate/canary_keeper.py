"""The canary of the live version beside its registry: fed with requests, kept over restarts, and able to roll back by itself.

    keeper = CanaryKeeper(registry, domains=("repo_assistant",))
    keeper.observe(live.version, Outcome(domain="repo_assistant", delta=0.01))  # "watching", "passed" or "rolled back"

Its state lies signed in `versions/canary.json`. It is written at once when the phase changes and every `every` requests
between, so a kill loses at most that many requests of evidence, never a decision. A rollback that cannot be done now (another
promoter holds the lock, the disk is full) is tried again with the next request or by `settle`: the latch stays.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from builderbrain.errors import BuilderBrainError, TamperedVersionError, VersionNotFoundError
from builderbrain.gate.canary import DEFAULT_LIMITS, Canary, Metric, Outcome, Phase
from builderbrain.gate.registry import Registry
from builderbrain.gate.verdict import Limits, harm_above

logger = logging.getLogger(__name__)
Standing = Literal[
    "watching", "passed", "rolled back", "no way back", "waiting to roll back", "nothing to compare with", "not live"
]


class CanaryKeeper:
    """One per serving process; observe under one lock.

    Args:
        registry: the registry whose live version is watched.
        domains, limits, alpha: of the canaries, see `Canary`.
        every: requests between two writes of the state.
        roll_back: from the version to leave and the evidence; by default the registry's own operation. A server gives one that
            also serves the version before at once.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        domains: Sequence[str] = (),
        limits: Mapping[Metric, float] = DEFAULT_LIMITS,
        alpha: float = 0.01,
        every: int = 20,
        roll_back: Callable[[str, Mapping[str, Any]], object] | None = None,
    ) -> None:
        self._registry = registry
        self._domains, self._limits, self._alpha, self._every = tuple(domains), dict(limits), alpha, every
        self._roll_back = roll_back or (lambda version, evidence: registry.rollback(expected_live=version, evidence=evidence))
        self._canary: Canary | None = self._read()
        self._unwritten = 0

    @property
    def path(self) -> Path:
        """Where the state lies."""
        return self._registry.root / "canary.json"

    def observe(self, version: str, outcome: Outcome) -> Standing:
        """Take one request that `version` answered; rolls back when the evidence says so.

        Requests of any other version than live's count for nothing: those in flight during a swap keep their own.
        """
        return self._take(version, lambda canary: canary.observe(outcome))

    def revise(self, version: str, domain: str) -> Standing:
        """A request of `version` that counted as harmless has turned out harmful; see `Canary.revise`."""
        return self._take(version, lambda canary: canary.revise(domain))

    def _take(self, version: str, step: Callable[[Canary], Phase]) -> Standing:
        live = self._registry.live()
        if live is None or live.version != version:
            return "not live"
        canary = self._canary_of(version)
        if canary.latched:
            return self.settle()
        before = canary.phase
        phase = step(canary)
        self._unwritten += 1
        if phase != before or self._unwritten >= self._every:
            self.save()
        if phase != "roll back":
            return phase
        logger.warning("version %s is rolled back: %s", version, canary.reason)
        return self.settle()

    def settle(self) -> Standing:
        """Do what is decided but not done: call it at a start, and while there is no traffic."""
        canary, live = self._canary, self._registry.live()
        if canary is None or live is None or live.version != canary.version:
            return "not live"
        if not canary.latched:
            return "passed" if canary.phase == "passed" else "watching"
        evidence = {"canary": canary.reason, "requests": canary.observed, "alpha": canary.alpha}
        try:
            self._roll_back(canary.version, evidence)
        except VersionNotFoundError as error:
            logger.error("version %s ought to be rolled back: %s", canary.version, error.message)
            return "no way back"
        except (BuilderBrainError, OSError) as error:
            logger.warning("version %s is not rolled back yet: %s", canary.version, error)
            return "waiting to roll back"
        return "rolled back"

    def report(self) -> dict[str, Any]:
        """For metrics and people: phase, requests, log evidence against its bar, and what is not yet shown to be safe."""
        canary = self._canary
        if canary is None:
            bar = math.log(1.0 / self._alpha)
            return {"version": None, "phase": "watching", "observed": 0, "log_evidence": 0.0, "bar": bar,
                    "missing": ["no request yet"], "reason": None}  # fmt: skip
        return {
            "version": canary.version,
            "phase": canary.phase,
            "observed": canary.observed,
            "log_evidence": canary.log_evidence(),
            "bar": math.log(1.0 / canary.alpha),
            "missing": list(canary.missing()),
            "reason": canary.reason,
        }

    def save(self) -> None:
        """Write what was seen since the last time; before a server ends."""
        if self._canary is None or not self._unwritten:
            return
        try:
            self._registry.write_signed(self.path, self._canary.state())
            self._unwritten = 0
        except OSError as error:
            logger.warning("the canary's state is not written: %s", error)

    def _canary_of(self, version: str) -> Canary:
        if self._canary is None or self._canary.version != version:
            self._canary = Canary(
                version=version,
                tolerance=self._reported_tolerance(version),
                domains=self._domains,
                limits=self._limits,
                alpha=self._alpha,
            )
        return self._canary

    def tolerance(self, version: str) -> float:
        """A rise of V_s up to which is noise, for the live version."""
        return self._canary_of(version).tolerance

    def readings(self, version: str) -> int:
        """Requests of a version that were compared so far."""
        return self._canary.observed if self._canary is not None and self._canary.version == version else 0

    def _reported_tolerance(self, version: str) -> float:
        """What counts as harm in the report that the version was promoted on; that of the limits for a first version."""
        report = self._registry.report(version)
        return Limits().resolution if report is None else harm_above(report)

    def _read(self) -> Canary | None:
        if not self.path.exists():
            return None
        try:
            return Canary.restore(self._registry.read_signed(self.path))
        except TamperedVersionError as error:
            # Evidence that cannot be trusted begins anew; the version it was about stays watched.
            logger.error("the canary begins anew: %s", error.message)
            return None
