"""Circuit breakers against a naive model of what they promise, with a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from builderbrain.agent.breaker import Breaker, BreakerRecord
from builderbrain.agent.breakers import DomainBreakers, ToolBreakers
from tests.agent.turned_clock import TurnedClock

COOL_DOWN, LONGEST, TRIALS = 10.0, 40.0, 3


class BreakerMachine(RuleBasedStateMachine):
    """The model keeps the state, when it opened, how long it stays open, and the trials of a recovery."""

    @initialize()
    def start(self) -> None:
        self.clock = TurnedClock()
        self.records: list[BreakerRecord] = []
        self.breaker = Breaker(
            "tool/search",
            "cool_down",
            clock=self.clock,
            emit=self.records.append,
            cool_down_seconds=COOL_DOWN,
            longest_seconds=LONGEST,
            trials=TRIALS,
        )
        self.state, self.opened, self.cool_down = "closed", 0.0, COOL_DOWN
        self.trials = self.good = 0

    def now(self) -> str:
        if self.state == "open" and self.clock.time >= self.opened + self.cool_down:
            self.state, self.trials, self.good = "half_open", 0, 0
        return self.state

    @rule(seconds=st.sampled_from([0.5, 3.0, 10.0, 25.0, 60.0]))
    def time_goes_by(self, seconds: float) -> None:
        self.clock.time += seconds

    @rule()
    def a_call_comes(self) -> None:
        expected = {"closed": True, "open": False, "half_open": self.trials <= self.good}[self.now()]
        assert self.breaker.admit() is expected
        if expected and self.state == "half_open":
            self.trials += 1

    @precondition(lambda self: self.now() == "half_open" and self.trials > 0)
    @rule()
    def a_trial_succeeds(self) -> None:
        self.breaker.succeeded()
        self.trials, self.good = self.trials - 1, self.good + 1
        if self.good == TRIALS:
            self.state, self.cool_down = "closed", COOL_DOWN

    @precondition(lambda self: self.now() == "half_open" and self.trials > 0)
    @rule()
    def a_trial_fails(self) -> None:
        self.breaker.failed("it broke")
        self.cool_down = min(LONGEST, self.cool_down * 2)
        self.state, self.opened = "open", self.clock.time

    @precondition(lambda self: self.now() == "half_open" and self.trials > 0)
    @rule()
    def a_trial_is_cancelled(self) -> None:
        self.breaker.release()
        self.trials -= 1

    @precondition(lambda self: self.now() == "closed")
    @rule()
    def a_failure_while_closed_alone_opens_nothing(self) -> None:
        self.breaker.failed("once")

    @rule()
    def too_much_goes_wrong(self) -> None:
        closed = self.now() == "closed"
        self.breaker.trip("too often")
        if closed:
            self.state, self.opened = "open", self.clock.time

    @invariant()
    def the_breaker_is_where_the_model_is(self) -> None:
        if hasattr(self, "breaker"):
            assert self.breaker.state == self.now()

    @invariant()
    def every_change_was_told_and_is_legal(self) -> None:
        if not hasattr(self, "breaker"):
            return
        state = self.breaker.state  # looking may be what makes it half-open
        legal = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
        before = "closed"
        for record in self.records:
            assert record.before == before
            assert (record.before, record.after) in legal
            before = record.after
        assert before == state


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def domain_breakers() -> tuple[DomainBreakers, TurnedClock, list[BreakerRecord]]:
    clock, records = TurnedClock(), []
    return DomainBreakers("api_json", tau=2.0, clock=clock, emit=records.append, cool_down_seconds=30), clock, records


def test_more_than_five_violations_in_a_row_ask_for_the_fallback() -> None:
    breakers, clock, records = domain_breakers()
    for _ in range(5):
        breakers.note_constraint(violated=True)
    breakers.note_constraint(violated=False)
    for _ in range(5):
        breakers.note_constraint(violated=True)
    assert breakers.actions == frozenset()
    breakers.note_constraint(violated=True)
    assert breakers.actions == {"fallback"}
    clock.time += 31
    assert breakers.actions == frozenset()  # half-open: it is tried again
    breakers.note_constraint(violated=True)
    assert breakers.actions == {"fallback"}
    clock.time += 59
    assert breakers.actions == {"fallback"}  # twice as long
    clock.time += 2
    for _ in range(3):
        breakers.note_constraint(violated=False)
    assert breakers.violations.state == "closed"
    assert [record.after for record in records] == ["open", "half_open", "open", "half_open", "closed"]
    assert all(record.name == "domain/api_json/violations" and record.reason for record in records)


@pytest.mark.parametrize(("energies", "tripped"), [([3, 3, 3], True), ([3, 3, 1, 3, 3], False), ([float("nan")] * 3, True)])
def test_energy_over_tau_for_three_steps_asks_for_constrained_decoding(energies: list[float], tripped: bool) -> None:
    breakers, _, _ = domain_breakers()
    for energy in energies:
        breakers.note_energy(energy)
    assert breakers.actions == ({"constrained"} if tripped else frozenset())


def test_more_than_four_fifths_of_refused_plans_ask_for_a_person() -> None:
    breakers, _, _ = domain_breakers()
    for at in range(20):
        breakers.note_plan(accepted=at < 4)
    assert breakers.actions == frozenset()  # 80 %, not more
    breakers.note_plan(accepted=False)  # an accepted one leaves the window
    assert breakers.actions == {"review"}


def test_three_failures_in_a_row_cool_a_tool_down_and_no_other() -> None:
    clock = TurnedClock()
    breakers = ToolBreakers(clock, cool_down_seconds=30)

    def call(tool: str, *, faulty: bool | None) -> bool:
        with breakers.admit(tool) as admission:
            if admission.refusal is None:
                admission.faulty = faulty
            return admission.refusal is None

    for faulty in (True, True, False, True, True, None, True):
        assert call("search", faulty=faulty)
    assert not call("search", faulty=False)
    assert call("read", faulty=False)
    clock.time += 30
    with breakers.admit("search") as first, breakers.admit("search") as second:
        assert (first.refusal is None, second.refusal is None) == (True, False)  # one trial at a time
        first.faulty = False
    for _ in range(2):
        assert call("search", faulty=False)
    assert breakers.breaker("search").state == "closed"
