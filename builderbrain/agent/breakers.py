"""What trips a circuit breaker, for tools and for domains.

- A tool that fails 3 times in a row (it times out, breaks, or what it needs does not answer) cools down.
- More than 5 violations of a constraint in a row: the domain answers by its fallback.
- Grammar energy over tau for 3 steps in a row: the domain decodes constrained.
- More than 80 % of the last plans refused by the checker: a person reviews.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from builderbrain.agent.breaker import Action, Breaker, BreakerRecord, Emit
from builderbrain.agent.clock import Clock, SystemClock

TOOL_FAILURES = 3
VIOLATIONS = 5
ENERGY_STEPS = 3
VALIDATION_WINDOW = 20
VALIDATION_SHARE = 0.8


def _emit_nothing(_: BreakerRecord) -> None:
    return None


@dataclass
class Admission:
    """Whether a call may be made. The caller sets `faulty` when it knows; None is a call that was never finished."""

    refusal: str | None
    faulty: bool | None = None


class ToolBreakers:
    """One breaker for each tool, shared by the executions of a process."""

    def __init__(
        self,
        clock: Clock | None = None,
        emit: Emit = _emit_nothing,
        *,
        failures: int = TOOL_FAILURES,
        cool_down_seconds: float = 30.0,
    ) -> None:
        self._clock = clock if clock is not None else SystemClock()
        self._emit = emit
        self._failures = failures
        self._cool_down = cool_down_seconds
        self._breakers: dict[str, Breaker] = {}
        self._in_a_row: Counter[str] = Counter()

    def breaker(self, tool: str) -> Breaker:
        """The breaker of a tool."""
        return self._breakers.setdefault(
            tool,
            Breaker(f"tool/{tool}", "cool_down", clock=self._clock, emit=self._emit, cool_down_seconds=self._cool_down),
        )

    @contextmanager
    def admit(self, tool: str) -> Iterator[Admission]:
        """A call of a tool, made inside the `with` unless it is refused."""
        breaker = self.breaker(tool)
        if not breaker.admit():
            left = breaker.seconds_left()
            when = f"for {left:.0f} s more" if left > 0 else "but for a trial, which runs"
            yield Admission(refusal=f"it failed {self._failures} times in a row and cools down {when}")
            return
        admission = Admission(refusal=None)
        try:
            yield admission
        finally:
            self._report(tool, breaker, admission.faulty)

    def _report(self, tool: str, breaker: Breaker, faulty: bool | None) -> None:
        if faulty is None:
            breaker.release()
        elif not faulty:
            self._in_a_row[tool] = 0
            breaker.succeeded()
        else:
            self._in_a_row[tool] += 1
            breaker.failed(f"{tool} failed")
            if self._in_a_row[tool] >= self._failures:
                breaker.trip(f"{tool} failed {self._in_a_row[tool]} times in a row")


class DomainBreakers:
    """The breakers of one domain. `actions` says what they ask for now.

    Args:
        tau: grammar energy above which a decoding step counts as bad.
    """

    def __init__(
        self,
        domain: str,
        *,
        tau: float,
        clock: Clock | None = None,
        emit: Emit = _emit_nothing,
        cool_down_seconds: float = 30.0,
    ) -> None:
        self._tau = tau
        clock = clock if clock is not None else SystemClock()

        def made(name: str, action: Action) -> Breaker:
            return Breaker(f"domain/{domain}/{name}", action, clock=clock, emit=emit, cool_down_seconds=cool_down_seconds)

        self.violations = made("violations", "fallback")
        self.energy = made("energy", "constrained")
        self.validation = made("validation", "review")
        self._violated = 0
        self._over = 0
        self._plans: deque[bool] = deque(maxlen=VALIDATION_WINDOW)

    @property
    def actions(self) -> frozenset[Action]:
        """What open breakers ask for; empty when all is well. A half-open breaker asks for nothing: that is its trial."""
        return frozenset(one.action for one in (self.violations, self.energy, self.validation) if one.state == "open")

    def note_constraint(self, *, violated: bool) -> None:
        """A constraint held or was violated."""
        self._violated = self._violated + 1 if violated else 0
        _judge(self.violations, bad=violated, trips=self._violated > VIOLATIONS, reason=f"{self._violated} violations in a row")

    def note_energy(self, energy: float) -> None:
        """Grammar energy of one decoding step; NaN counts as over tau."""
        over = not energy <= self._tau
        self._over = self._over + 1 if over else 0
        reason = f"energy over {self._tau:g} for {self._over} steps in a row"
        _judge(self.energy, bad=over, trips=self._over >= ENERGY_STEPS, reason=reason)

    def note_plan(self, *, accepted: bool) -> None:
        """The checker accepted or refused a plan."""
        if self.validation.state == "closed":
            self._plans.append(accepted)
        refused = self._plans.count(False)
        trips = len(self._plans) == VALIDATION_WINDOW and refused > VALIDATION_SHARE * VALIDATION_WINDOW
        _judge(self.validation, bad=not accepted, trips=trips, reason=f"{refused} of {len(self._plans)} plans were refused")
        if self.validation.state != "closed":
            self._plans.clear()


def _judge(breaker: Breaker, *, bad: bool, trips: bool, reason: str) -> None:
    """Evidence for a breaker: it trips a closed one, and is a trial of a half-open one; an open one does not count it."""
    if breaker.state == "half_open":
        if bad:
            breaker.failed(reason)
        else:
            breaker.succeeded()
    elif trips:
        breaker.trip(reason)
