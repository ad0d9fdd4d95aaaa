"""The simulated call: scripts as data, proof before anything else, and free words in it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from builderbrain.domains.phone_flow import PhoneCall, load_script, read_script, scripts
from builderbrain.domains.phone_flow.phrases import PHRASES
from builderbrain.errors import SimulationError, ToolError, TransientToolError, UnfinishedToolError
from builderbrain.plan import get_domain
from tests.domains.worlds import Hands


def call_of(script: str) -> tuple[PhoneCall, Hands]:
    world = PhoneCall(load_script(script))
    return world, Hands("phone_flow", world)


def test_a_script_that_is_wrong_is_refused_by_its_field() -> None:
    good = load_script("usual").model_dump()
    for path, value in ((("caller", "hangs_up_after"), -1.0), (("desk", "queue_places"), "two"), (("caller", "mood"), "bad")):
        bad = {**good, path[0]: {**good[path[0]], path[1]: value}}
        with pytest.raises(SimulationError) as refused:
            read_script(bad)
        assert refused.value.field == ".".join(path)
    with pytest.raises(SimulationError, match="wrong_pin"):
        load_script("nobody")


def test_every_language_of_the_schema_has_every_sentence() -> None:
    assert {frozenset(phrases) for phrases in PHRASES.values()} == {frozenset(PHRASES["en"])}
    world, hands = call_of("withheld_number")
    hands.do("greet", language="de")
    assert world.said[-1].text == PHRASES["de"]["greeting"]


def test_proof_is_given_by_pin_birth_date_or_a_code_to_a_number_on_record() -> None:
    for method in ("pin", "birth_date", "one_time_code"):
        world, hands = call_of("usual")
        hands.do("greet")
        assert hands.do("verify", method=method)["customer"] == "c1"
        assert world.facts()["caller"] == "verified"
    world, hands = call_of("usual")
    hands.do("greet")
    with pytest.raises(ToolError, match="number on record"):
        hands.do("verify", method="one_time_code", number="+15550000000")
    world, hands = call_of("hesitant")
    hands.do("greet")
    assert hands.do("verify", method="pin", attempts=2)["attempts"] == 2
    with pytest.raises(TransientToolError):
        hands.do("intent")
    assert hands.do("intent")["topic"] == "technical"


def test_the_record_of_somebody_else_is_not_read() -> None:
    world, hands = call_of("usual")
    hands.do("greet")
    hands.do("verify", method="pin")
    with pytest.raises(ToolError, match="somebody else"):
        hands.do("account", customer="c2")
    assert "42.00" in hands.do("account", customer="c1")["text"]
    note = hands.do("note", customer="c1", text="Called about a bill.")["note_id"]
    hands.do("erase_note", note_id=note)
    assert world.notes == {}


def test_a_call_in_the_queue_is_left_there() -> None:
    world, hands = call_of("nobody_free")
    hands.do("greet")
    assert hands.do("escalate")["place"] == 1
    with pytest.raises(ToolError, match="queue"):
        hands.do("take_up")
    assert world.facts()["call"] == "waiting"


def test_a_callback_that_was_promised_before_the_caller_hung_up_is_promised() -> None:
    world, hands = call_of("usual")
    hands.do("greet")
    hands.do("verify", method="pin")
    world.at(2.5, world.hang_up)
    with pytest.raises(UnfinishedToolError):
        hands.do("callback", number="+15551234567", minutes=30)
    assert world.outcome("callback", hands.key) == {"ticket": "ticket1"}
    assert hands.do("callback", key=hands.key, number="+15551234567", minutes=30) == {"ticket": "ticket1"}
    assert world.callbacks == [("+15551234567", "c1")]


SKILLS = sorted(get_domain("phone_flow").skills)


class CallMachine(RuleBasedStateMachine):
    """Any skill at any time, on any script: nothing is done for somebody who gave no proof."""

    @initialize(script=st.sampled_from(sorted(scripts())), hangs_up=st.none() | st.floats(1, 60))
    def begin(self, script: str, hangs_up: float | None) -> None:
        self.world, self.hands = call_of(script)
        self.right = False
        if hangs_up is not None:
            self.world.at(hangs_up, self.world.hang_up)

    @rule(skill=st.sampled_from(SKILLS), method=st.sampled_from(("pin", "birth_date", "one_time_code")),
          customer=st.sampled_from(("c1", "c2", "")), cancel=st.none() | st.integers(0, 6))  # fmt: skip
    def do(self, skill: str, method: str, customer: str, cancel: int | None) -> None:
        arguments: dict[str, Any] = {
            "verify": {"method": method},
            "account": {"customer": customer},
            "note": {"customer": customer, "text": "a note"},
            "erase_note": {"note_id": "note1"},
            "say": {"text": "One moment."},
            "transfer": {"team": "billing"},
            "callback": {"number": "+15551234567", "minutes": 5},
        }.get(skill, {})
        before = self.world.call
        with contextlib.suppress(ToolError, asyncio.CancelledError):
            self.hands.do(skill, cancel_after=cancel, **arguments)
        if before == "ended":
            assert self.world.call == "ended"

    @invariant()
    def nothing_is_done_for_somebody_unverified(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        if world.customer is None:
            assert (world.transfers, world.callbacks, world.records_read, world.notes) == ([], [], [], {})
        else:
            spoken = {said.text for said in world.said if said.who == "caller"}
            assert spoken & {world.customer.pin, world.customer.birth_date} or "one_time_code" in world.script.caller.proofs
            assert {customer for _, customer in world.transfers + world.callbacks} <= {world.customer.id}
            assert set(world.records_read) <= {world.customer.id}
        assert len(world.transfers) + (world.call != "ended") <= 1
        if world.transfers:
            assert world.wish is not None


CallMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
TestWhateverIsAsked = CallMachine.TestCase
