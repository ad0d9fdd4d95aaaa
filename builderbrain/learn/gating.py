"""The gate inside the server: candidate and live answer the battery in the gaps of decoding, and the gate's own rule
decides."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from builderbrain.errors import NotReadyError
from builderbrain.gate.base_memory import FeatureMemory, RememberingHost
from builderbrain.gate.battery import FIRST_DOMAIN, Battery, due_battery, refuse_overlap
from builderbrain.gate.evaluate import evaluate
from builderbrain.gate.gap_subject import GapSubject, gap_features, gap_version
from builderbrain.gate.reader import PROMOTION
from builderbrain.gate.registry import Registry
from builderbrain.gate.report import build_report
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.subject import MAX_PLAN_TOKENS
from builderbrain.gate.verdict import Limits
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.serve.background import Background

logger = logging.getLogger(__name__)


class GapGate:
    """Evaluates versions of a registry, one at a time.

    Args:
        battery: JSONL files; none takes the shipped battery. Either with the sealed part when it is due.
        judge: scores both, frozen for the comparison.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        host: Host,
        background: Background,
        grammar: CompiledConstraint,
        judge: RiskJudge,
        battery: Sequence[Path] = (),
        limits: Limits | None = None,
        timeout_seconds: float = 600.0,
        max_tokens: int = MAX_PLAN_TOKENS,
        compared: int = 150,
    ) -> None:
        self.registry, self.judge = registry, judge
        self.features = gap_features(host, background)
        self._host, self._background, self._grammar = host, background, grammar
        self._battery, self._limits = tuple(battery), Limits() if limits is None else limits
        self._timeout, self._max_tokens, self._compared = timeout_seconds, max_tokens, compared

    def subject(self, version: str, host: Host) -> GapSubject:
        """A version, verified and loaded."""
        return gap_version(
            self.registry.root,
            version,
            host=host,
            grammar=self._grammar,
            background=self._background,
            max_tokens=self._max_tokens,
        )

    def battery(self) -> Battery:
        """What the next evaluation asks."""
        promotions = sum(entry.event == PROMOTION[1] for entry in self.registry.audit_entries())
        return due_battery(self._battery or None, domain=FIRST_DOMAIN, promotions=promotions)

    def evaluate(self, version: str, live: str, trained_on: Collection[str]) -> dict[str, Any]:
        """The recorded report on a version against the live one.

        Args:
            trained_on: `prompt_hash` of every request that it was trained on.

        Raises:
            BatteryError: one of them is in the battery.
            NotReadyError: the server shut down before the end.
        """
        battery = self.battery()
        refuse_overlap(battery, trained_on)
        base, features = RememberingHost(self._host), FeatureMemory(self.features)
        base.load(self.registry, features)
        attempt = self.registry.begin_attempt(version)
        started = time.monotonic()
        observations = evaluate(
            self.subject(version, base),
            self.subject(live, base),
            battery,
            judge=self.judge,
            base_features=features,
            timeout_seconds=self._timeout,
            compared=self._compared,
        )
        if self._background.closed:  # what was not answered then says nothing of the candidate
            raise NotReadyError("the server shut down before the gate was through; the candidate is evaluated again by hand")
        report = build_report(
            observations,
            candidate=version,
            live=live,
            attempt=attempt,
            limits=self._limits,
            seed=0,
            battery=battery,
            judge=self.judge,
            base=self._host.name,
            seconds=time.monotonic() - started,
            base_seconds=base.base_seconds,
        )
        self.registry.record_report(report)
        try:
            base.save(self.registry, features)
        except OSError as error:
            logger.warning("the battery's base states are not kept for the next evaluation: %s", error)
        return report
