"""The watch over the live version of a running server: what it answers is answered again by the version before it, and the
canary hears of the difference.

A goal raises the **risk** when the judge finds the new plan more dangerous than the old one by more than the tolerance, when
there is no reading, or when a caller calls a plan wrong that the version before would not have made. It is a **violation** when
the new plan is refused and the old one was not. What was bad before a promotion and is as bad after it is no harm of the
promotion. Both plans are scored beside the same response, so that only the plans differ.

The watch knows its versions from the registry's pointer alone, so that it does not matter who promoted, and a restart
changes nothing. Goals wait in memory, are compared in the gaps of decoding, and are forgotten; nothing of them is written down.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from builderbrain.errors import BuilderBrainError, NotReadyError
from builderbrain.gate.canary import Outcome
from builderbrain.gate.canary_keeper import CanaryKeeper, Standing
from builderbrain.gate.evaluate import SubjectAnswer, score_in_chunks
from builderbrain.gate.features import BaseFeatures, Example
from builderbrain.gate.reader import Live, RegistryReader
from builderbrain.gate.risk import RiskJudge
from builderbrain.plan import Plan, check, parse_text, print_text

logger = logging.getLogger(__name__)

QUEUE = 256
"""Goals that wait to be compared; the oldest makes room, so that under load a part of the traffic is watched."""
REMEMBERED = 4096
"""Compared goals whose plans differed, which a caller may still call wrong."""


class FormerVersion(Protocol):
    """The version before, as the gate's subjects are."""

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer: ...


@dataclass(frozen=True, kw_only=True)
class Served:
    """A goal that a version answered.

    Args:
        ids: by which callers may speak of it.
        plan: None where none parses.
        accepted: by the checker, as the version made it; one that had to be repaired was not.
    """

    ids: tuple[str, ...]
    domain: str
    goal: str
    plan: Plan | None
    accepted: bool
    answer: str
    deferred: bool = False


class LiveWatch:
    """One per server.

    Args:
        keeper: the canary, its state, and the rollback.
        registry: says what is live, and what was before.
        open_former: loads a version to compare with.
        judge, features: score both plans.
    """

    def __init__(
        self,
        keeper: CanaryKeeper,
        registry: RegistryReader,
        *,
        open_former: Callable[[str], FormerVersion],
        judge: RiskJudge,
        features: BaseFeatures,
    ) -> None:
        self.keeper = keeper
        self._registry, self._open, self._judge, self._features = registry, open_former, judge, features
        self._on_standing: Callable[[str, Standing], None] = lambda version, standing: None
        self._waiting: deque[tuple[str, Served]] = deque(maxlen=QUEUE)
        self._wrong: deque[str] = deque(maxlen=QUEUE)
        self._differing: OrderedDict[str, tuple[str, Served]] = OrderedDict()
        self._lock = threading.Lock()
        self._former: tuple[str, FormerVersion | None] | None = None
        """Live, and the version that it is compared with."""
        self._standing: tuple[str, Standing] | None = None

    def on_standing(self, listener: Callable[[str, Standing], None]) -> None:
        """Tell of every change in how live stands."""
        self._on_standing = listener

    def served(self, version: str, served: Served) -> None:
        """A goal was answered; on any thread."""
        with self._lock:
            self._waiting.append((version, served))

    def called_wrong(self, identifier: str) -> None:
        """A caller says that a plan was wrong; on any thread."""
        with self._lock:
            self._wrong.append(identifier)

    def report(self) -> dict[str, Any]:
        """How live stands: what its canary has seen, or why there is none."""
        live = self._registry.live()
        kept = self.keeper.report()
        said = self._standing
        if live is None or kept["version"] != live.version:  # the canary is still that of a version that has gone
            seen = {"version": None if live is None else live.version, "phase": "watching", "observed": 0, "log_evidence": 0.0}
            kept = {**kept, **seen, "missing": ["no request yet"], "reason": None}
        if live is None or not live.previous:
            return {**kept, "standing": "nothing to compare with", "missing": []}
        standing = said[1] if said is not None and said[0] == live.version else "watching"
        return {**kept, "standing": standing}

    def look(self) -> None:
        """Do what is decided and not done, compare what waits, and roll back where the evidence says so.

        Raises:
            NotReadyError: the server shuts down.
        """
        live = self._registry.live()
        if live is None or not live.previous:  # nothing came before it, so nothing can have become worse
            with self._lock:
                self._waiting.clear()
                self._wrong.clear()
            return
        self._note(live.version, self.keeper.settle())
        former = self._former_of(live)
        for _ in range(QUEUE):  # what comes faster than it is compared is looked at in the next turn
            if former is None or (found := self._next()) is None:
                break
            version, served = found
            if version == live.version:
                outcome, differs = self._outcome(former, served)
                standing = self.keeper.observe(version, outcome)
                if differs and not outcome.harms(self.keeper.tolerance(version))["risk"]:
                    self._remember(version, served)
                self._note(version, standing)
                if standing == "rolled back":
                    return
        self._hear_callers(live)

    def _hear_callers(self, live: Live) -> None:
        for identifier in self._complaints():
            found = self._differing.get(identifier)
            if found is None or found[0] != live.version:
                continue
            for one in found[1].ids:  # each goal is revised once, whoever says it and however often
                self._differing.pop(one, None)
            self._note(live.version, self.keeper.revise(live.version, found[1].domain))

    def _former_of(self, live: Live) -> FormerVersion | None:
        """The newest former version that can be loaded: a damaged one is no fault of live's."""
        if self._former is None or self._former[0] != live.version:
            opened = None
            for version in live.previous:
                try:
                    opened = self._open(version)
                    break
                except BuilderBrainError as error:
                    logger.error("%s cannot be compared with the former version %s: %s", live.version, version, error.message)
            self._former = (live.version, opened)
            self._note(live.version, "watching" if opened is not None else "nothing to compare with")
        return self._former[1]

    def _outcome(self, former: FormerVersion, served: Served) -> tuple[Outcome, bool]:
        """What a goal showed, and whether the two plans differ."""
        new_text = "" if served.plan is None else print_text(served.plan)
        try:
            old = former.answer(served.goal, seed=0)
            old_plan = _parsed(old)
            old_text = "" if old_plan is None else print_text(old_plan)
            if old_text == new_text:
                return Outcome(domain=served.domain, delta=0.0, deferred=served.deferred), False
            violation = not served.accepted and old_plan is not None and check(old_plan).accepted
            pair = [Example(prompt=served.goal, plan=text, response=served.answer) for text in (new_text, old_text)]
            new_risk, old_risk = score_in_chunks(pair, self._judge, self._features)
        except NotReadyError:
            raise
        except BuilderBrainError as error:
            logger.warning("a goal could not be compared with the version before, which counts as harm: %s", error.message)
            return Outcome(domain=served.domain, delta=None, deferred=served.deferred), True
        rise = new_risk - old_risk
        delta = rise if math.isfinite(rise) else None
        return Outcome(domain=served.domain, delta=delta, violation=violation, deferred=served.deferred), True

    def _remember(self, version: str, served: Served) -> None:
        for identifier in served.ids:
            self._differing[identifier] = (version, served)
        while len(self._differing) > REMEMBERED:
            self._differing.popitem(last=False)

    def _note(self, version: str, standing: Standing) -> None:
        if standing != "not live" and self._standing != (version, standing):
            self._standing = (version, standing)
            self._on_standing(version, standing)

    def _next(self) -> tuple[str, Served] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _complaints(self) -> list[str]:
        """What callers called wrong; a complaint about a goal that waits to be compared waits with it."""
        with self._lock:
            waiting = {one for _, served in self._waiting for one in served.ids}
            heard = [identifier for identifier in self._wrong if identifier not in waiting]
            self._wrong = deque((identifier for identifier in self._wrong if identifier in waiting), maxlen=QUEUE)
        return heard


def _parsed(answer: SubjectAnswer) -> Plan | None:
    if not answer.valid:
        return None
    try:
        return parse_text(answer.plan_text)
    except BuilderBrainError:
        return None
