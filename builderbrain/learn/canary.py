"""After a promotion: goals that the new version answered are answered again by the one before, and the two are compared.

A goal is a **harm** when the new plan is refused and the old one is not, when the judge finds the new answer riskier by more
than the tolerance, when there is no reading, or when a caller calls a plan wrong that the old version would not have made. What
was bad before the promotion and is as bad after it is no harm of the promotion. The test is `gate.sequential.Canary`, which may
be looked at after every reading; its decision latches. Without traffic there are no readings, and no readings are no success:
the watch has no end but the next promotion or the rollback.
"""

from __future__ import annotations

import json
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builderbrain.errors import BuilderBrainError, NotReadyError
from builderbrain.gate.evaluate import SubjectAnswer, score_in_chunks
from builderbrain.gate.risk import BaseFeatures, Example, RiskJudge
from builderbrain.gate.sequential import Canary
from builderbrain.plan import Plan, check, parse_text, print_text
from builderbrain.storage import canonical_json, write_atomic

QUEUE = 256
"""Goals that wait to be compared; while it is full further ones are not."""


class Answers(Protocol):
    """The version before, as the gate's subjects are."""

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer: ...


@dataclass(frozen=True, kw_only=True)
class Served:
    """A goal that the watched version answered: its plan, None where none parses, whether it was accepted, and the answer."""

    id: str
    goal: str
    plan: Plan | None
    accepted: bool
    answer: str


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The version under watch and the one before it."""

    version: str
    former: str


class CanaryWatch:
    """The watch over one promotion at a time; what it has seen survives a restart.

    Args:
        path: where its state is kept.
        former: opens a version to compare with.
        judge, features: score both answers.
        limit, alpha: see `Canary`.
        tolerance: rise of the risk that is no harm; 0 where decoding is bit-equal.
    """

    def __init__(
        self,
        path: Path,
        *,
        former: Callable[[str], Answers],
        judge: RiskJudge,
        features: BaseFeatures,
        limit: float = 0.05,
        alpha: float = 0.01,
        tolerance: float = 0.0,
    ) -> None:
        self._path, self._open, self._judge, self._features = path, former, judge, features
        self._limit, self._alpha, self._tolerance = limit, alpha, tolerance
        self._waiting: deque[Served] = deque(maxlen=QUEUE)
        self._differs: OrderedDict[str, bool] = OrderedDict()
        self._wrong: deque[str] = deque(maxlen=QUEUE)
        self._lock = threading.Lock()
        self._former: Answers | None = None
        self.watched: Watched | None = None
        self.canary: Canary | None = None
        self._restore()

    def begin(self, watched: Watched) -> None:
        """Watch a promotion from now on, in place of the one before."""
        self.watched, self._former = watched, None
        self.canary = Canary(version=watched.version, limit=self._limit, alpha=self._alpha)
        with self._lock:
            self._waiting.clear()
            self._wrong.clear()
            self._differs.clear()
        self._save()

    def end(self) -> None:
        """Watch nothing."""
        self.watched = self.canary = self._former = None
        self._save()

    @property
    def readings(self) -> int:
        """So far, of the watched version."""
        return 0 if self.canary is None or self.canary.evidence is None else self.canary.evidence.observed

    @property
    def harms(self) -> int:
        """Of them."""
        return 0 if self.canary is None or self.canary.evidence is None else self.canary.evidence.harms

    def served(self, version: str, served: Served) -> None:
        """A goal was answered; on any thread."""
        if self.watched is not None and version == self.watched.version:
            with self._lock:
                self._waiting.append(served)

    def called_wrong(self, identifier: str) -> None:
        """A caller says that a plan was wrong; on any thread."""
        if self.watched is not None:
            with self._lock:
                self._wrong.append(identifier)

    def look(self) -> bool:
        """Compare what waits; whether the watched version has to come back out.

        Raises:
            NotReadyError: the server shuts down.
        """
        for _ in range(QUEUE):  # what comes faster than it can be compared is looked at in the next turn, or not at all
            if self.canary is None or self.canary.latched or (served := self._next()) is None:
                break
            self._reading(self._harm(served))
        for _ in range(QUEUE):
            if self.canary is None or self.canary.latched or (identifier := self._next_wrong()) is None:
                break
            if self._differs.get(identifier, False):
                self._reading(True)
        return self.canary is not None and self.canary.latched

    def _reading(self, harm: bool) -> None:
        if self.canary is not None:
            self.canary.observe_harm(harm)
            self._save()

    def _harm(self, served: Served) -> bool:
        if self.watched is None:
            return False
        try:
            if self._former is None:
                self._former = self._open(self.watched.former)
            old = self._former.answer(served.goal, seed=0)
            old_plan = None if not old.valid else _parsed(old.plan_text)
            new_text = "" if served.plan is None else print_text(served.plan)
            with self._lock:
                self._differs[served.id] = new_text != ("" if old_plan is None else print_text(old_plan))
                while len(self._differs) > QUEUE:
                    self._differs.popitem(last=False)
            if not self._differs[served.id]:
                return False
            if not served.accepted and old_plan is not None and check(old_plan).accepted:
                return True
            examples = [
                Example(prompt=served.goal, plan=new_text, response=served.answer),
                Example(prompt=served.goal, plan=old.plan_text, response=served.answer),
            ]
            new_risk, old_risk = score_in_chunks(examples, self._judge, self._features)
        except NotReadyError:
            raise
        except BuilderBrainError:
            return True
        rise = new_risk - old_risk
        return not math.isfinite(rise) or rise > self._tolerance

    def _next(self) -> Served | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _next_wrong(self) -> str | None:
        with self._lock:
            return self._wrong.popleft() if self._wrong else None

    def _save(self) -> None:
        value: dict[str, Any] = {"watched": None}
        if self.watched is not None and self.canary is not None:
            value = {"watched": self.watched.version, "former": self.watched.former, "canary": self.canary.state()}
        write_atomic(self._path, canonical_json(value))

    def _restore(self) -> None:
        try:
            value = json.loads(self._path.read_bytes())
            if value["watched"] is not None:
                self.canary = Canary.restore(value["canary"])
                self.watched = Watched(version=value["watched"], former=value["former"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError):  # torn: the watch begins anew with the next promotion
            self.canary = self.watched = None


def _parsed(text: str) -> Plan | None:
    try:
        return parse_text(text)
    except BuilderBrainError:
        return None
