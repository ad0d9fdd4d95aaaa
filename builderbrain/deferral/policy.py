"""Whether a request is answered, at run time; what moves a threshold is kept on disk beside it.

The threshold in force is the strictest of three: the fitted one, that of the adaptive level (`adaptive`), and what alarms of a
shift raised it to. An alarm halves the distance to 1. Only outcomes bring the second back, up to the fitted one; nothing but
a new table brings the third back. Where nothing was fitted for a domain its starting point is used, and said to be that.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from builderbrain.deferral.adaptive import AdaptiveLevel
from builderbrain.deferral.labelled import checked_confidence
from builderbrain.deferral.offers import Offer, offer_of, rule_of
from builderbrain.deferral.risk_control import risk_threshold
from builderbrain.deferral.shift import ShiftTest
from builderbrain.deferral.thresholds import DeferralTable, DomainCalibration
from builderbrain.errors import CheckpointError, DataError
from builderbrain.storage import canonical_json, write_atomic

logger = logging.getLogger(__name__)
REMEMBERED = 10_000
"""Requests whose outcome can still be told."""


@dataclass(frozen=True, kw_only=True)
class Deferral:
    """What was decided about one request.

    Args:
        id: by which its outcome is told.
        threshold: in force; None where no confidence would do.
        offer: what is given instead of an answer; None when it is answered.
        fitted: whether the threshold was fitted for these weights, else it is a starting point.
        reason: why it is deferred; None when it is answered.
        table: version of the table that was asked.
    """

    id: str
    domain: str
    confidence: float
    threshold: float | None
    offer: Offer | None
    fitted: bool
    reason: str | None
    table: str | None

    @property
    def deferred(self) -> bool:
        """Whether something is offered instead of an answer."""
        return self.offer is not None

    def to_json(self) -> dict[str, Any]:
        """The `deferral` of a reply."""
        return {**asdict(self), "deferred": self.deferred}


@dataclass(frozen=True, kw_only=True)
class DeferralRecord:
    """Something that concerns more than one request: an alarm of a `shift`, or an `outcome`."""

    kind: Literal["shift", "outcome"]
    domain: str
    said: str
    threshold: float | None


@dataclass(kw_only=True)
class DomainState:
    """What moved a domain's threshold. `raised` by alarms, of `tests` for a shift that were begun."""

    adaptive: AdaptiveLevel
    raised: float = 0.0
    alarms: int = 0
    tests: int = 0


@dataclass(kw_only=True)
class _Domain:
    calibration: DomainCalibration
    state: DomainState
    shift: ShiftTest
    wrong: np.ndarray = field(repr=False)

    def threshold(self) -> float | None:
        fitted = self.calibration.threshold.least
        requests = len(self.calibration.reference["confidence"])
        level = self.state.adaptive.present
        # At the level of the fit the fitted threshold stands alone: with few requests the other bound may have none.
        adapted = 0.0 if level >= self.calibration.level else risk_threshold(self.wrong, requests, level)
        if fitted is None or adapted is None:
            return None
        return max(fitted, adapted, self.state.raised)


class DeferralPolicy:
    """One for a server; any thread may call it.

    Args:
        table: what was fitted; None uses the starting points of the domains.
        state_file: where what moved the thresholds is kept; a table of another version begins anew.
        emit: told of every record.
        seed: of the draws of the shift test among ties.
    """

    def __init__(
        self,
        table: DeferralTable | None,
        *,
        state_file: Path | None = None,
        emit: Callable[[DeferralRecord], None] = lambda record: None,
        seed: int | None = None,
    ) -> None:
        self.table = table
        self._file = state_file
        self._emit = emit
        self._lock = threading.Lock()
        self._asked: OrderedDict[str, tuple[str, bool]] = OrderedDict()
        states = {} if table is None or state_file is None else _read_states(state_file, table.version)
        self._domains: dict[str, _Domain] = {}
        for found in () if table is None else table.domains:
            state = states.get(found.domain) or DomainState(adaptive=AdaptiveLevel(target=found.level))
            shift = ShiftTest(found.reference, tests=state.tests, seed=seed)
            state.tests = shift.tests
            self._domains[found.domain] = _Domain(calibration=found, state=state, shift=shift, wrong=np.array(found.wrong))
        self._keep()  # a test that began counts, whatever happens

    def threshold(self, domain: str) -> float | None:
        """In force now; None where nothing is answered."""
        with self._lock:
            known = self._domains.get(domain)
            return rule_of(domain).start if known is None else known.threshold()

    def thresholds(self) -> dict[str, float | None]:
        """In force now, of the fitted domains."""
        with self._lock:
            return {name: known.threshold() for name, known in self._domains.items()}

    def judge(
        self, domain: str, confidence: float, *, weight_version: str, features: Mapping[str, float] | None = None
    ) -> Deferral:
        """Decide about one request, and count it for the test of a shift; an alarm holds for this request already.

        Args:
            confidence: calibrated probability that the answer is right.
            weight_version: of the weights that answer. Others than those of the table: nothing is known, so it is deferred.
            features: further features of the request that the table has a reference of.

        Raises:
            DataError: the confidence is no probability, or a feature is missing.
        """
        sure = checked_confidence(confidence)
        with self._lock:
            other = self.table is not None and self.table.weight_version != weight_version
            known = None if other else self._domains.get(domain)
            if known is not None:
                self._watch(domain, known, {**(features or {}), "confidence": sure})
            threshold = None if other else rule_of(domain).start if known is None else known.threshold()
            reason = self._reason(sure, threshold, known, weight_version if other else None)
            verdict = Deferral(
                id=f"dfr_{secrets.token_hex(12)}",
                domain=domain,
                confidence=sure,
                threshold=threshold,
                offer=None if reason is None else offer_of(domain, sure, threshold),
                fitted=known is not None,
                reason=reason,
                table=None if self.table is None else self.table.version,
            )
            self._asked[verdict.id] = (domain, not verdict.deferred)
            if len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)
        return verdict

    def outcome(self, identifier: str, *, right: bool) -> DeferralRecord:
        """Take what became of a request. It is taken once; that of a deferred one counts as no error.

        Raises:
            DataError: no such request is waiting for its outcome; `field` is `id`.
        """
        with self._lock:
            found = self._asked.pop(identifier, None)
            if found is None:
                raise DataError(
                    f"id: expected that of one of the last {REMEMBERED} requests whose outcome was not told yet, got "
                    f"{identifier!r:.60}",
                    field="id",
                )
            domain, answered = found
            known = self._domains.get(domain)
            what = "answered" if answered else "deferred"
            said = f"{domain}: a request that was {what} turned out {'right' if right else 'wrong'}"
            if known is None:
                return self._note("outcome", domain, f"{said}; nothing was fitted, so nothing moves", rule_of(domain).start)
            level = known.state.adaptive.update(answered_and_wrong=answered and not right)
            self._keep()
            return self._note("outcome", domain, f"{said}; the level is {level:.4g}", known.threshold())

    def state(self, domain: str) -> DomainState | None:
        """What moved a fitted domain's threshold."""
        known = self._domains.get(domain)
        return None if known is None else known.state

    def _watch(self, domain: str, known: _Domain, features: Mapping[str, float]) -> None:
        alarm = known.shift.observe(features)
        if not alarm and known.shift.tests == known.state.tests:
            return
        known.state.tests = known.shift.tests
        if alarm:
            before = known.threshold()
            known.state.alarms += 1
            known.state.raised = 1.0 if before is None else 1.0 - (1.0 - min(before, 1.0)) / 2.0
            after = known.threshold()
        self._keep()
        if alarm:
            shown = ["nothing answered" if one is None else f"{one:.4g}" for one in (before, after)]
            self._note("shift", domain, f"{domain}: what is asked has shifted; threshold {shown[0]} -> {shown[1]}", after)

    def _reason(self, sure: float, threshold: float | None, known: _Domain | None, other: str | None) -> str | None:
        if other is not None and self.table is not None:
            return (
                f"the thresholds are those of the weights {self.table.weight_version}, and {other} answered; fit them anew "
                "after a promotion"
            )
        if threshold is not None:
            return None if sure >= threshold else f"its confidence {sure:.4g} is under the threshold {threshold:.4g}"
        infeasible = None if known is None else known.calibration.threshold.reason
        return infeasible or "outcomes were wrong too often of late, so that nothing is answered until they are right again"

    def _note(self, kind: Literal["shift", "outcome"], domain: str, said: str, threshold: float | None) -> DeferralRecord:
        record = DeferralRecord(kind=kind, domain=domain, said=said, threshold=threshold)
        logger.log(logging.WARNING if kind == "shift" else logging.INFO, "%s", said)
        self._emit(record)
        return record

    def _keep(self) -> None:
        if self._file is None or self.table is None:
            return
        states = {name: asdict(known.state) for name, known in self._domains.items()}
        write_atomic(self._file, canonical_json({"table": self.table.version, "domains": states}))


def _read_states(file: Path, version: str) -> dict[str, DomainState]:
    if not file.exists():
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
        if value["table"] != version:
            return {}
        return {
            name: DomainState(**{**state, "adaptive": AdaptiveLevel(**state["adaptive"])})
            for name, state in value["domains"].items()
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"expected what moved the deferral thresholds in {file}, got: {error}; remove it to begin with the fitted ones",
            field="deferral",
        ) from error
