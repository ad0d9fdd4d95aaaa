"""One call as it goes: what was said, how the caller answers by their script, and what the desk does with the call.

Whatever speaks looks before and after whether the caller is still there. Nobody is handed over or called back, and nothing of
a record is read, before the caller gave proof: the call itself refuses it, whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from builderbrain.domains.phone_flow.phrases import PHRASES
from builderbrain.domains.phone_flow.script import READS_THE_CODE, CallScript, Customer, Wish
from builderbrain.domains.simulator import Had, Simulator, Work
from builderbrain.errors import ToolError, TransientToolError

CHARACTERS_A_SECOND = 15.0
LONGEST_SPEECH_SECONDS = 25.0
ANSWER_SECONDS = 2.0
SILENCE_SECONDS = 6.0
"""How long is waited for an answer."""
RINGING_SECONDS = 20.0
"""How long a team is called before the call comes back."""
WAIT_EACH_SECONDS = 90
"""Expected wait at the head of the queue."""
OFF_THE_LINE = frozenset({"account", "note", "erase_note"})
"""Skills that do not speak on the line."""
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


@dataclass(frozen=True)
class Said:
    """One thing said; `who` is `we` or `caller`."""

    seconds: float
    who: str
    text: str


class PhoneCall(Simulator):
    """A simulated call with the skills of the domain `phone_flow`.

    Attributes:
        said: all that was said, in order.
        transfers: (team, customer id) of each handing over.
        callbacks: (number, customer id) of each promised call.
        notes: notes in records, by id.
    """

    def __init__(self, script: CallScript) -> None:
        super().__init__()
        self.script = script
        self.call = "ringing"
        self.customer: Customer | None = None
        self.wish: Wish | None = None
        self.queued = False
        self.language = "en"
        self.said: list[Said] = []
        self.transfers: list[tuple[str, str]] = []
        self.callbacks: list[tuple[str, str]] = []
        self.notes: dict[str, str] = {}
        self.records_read: list[str] = []
        self._number = 0
        self._busy = False
        self._proofs: dict[str, Iterator[str | None]] = {name: iter(said) for name, said in script.caller.proofs.items()}
        self._wishes = iter(script.caller.wishes)
        self._queue_places = script.desk.queue_places
        if script.caller.hangs_up_after is not None:
            self.at(script.caller.hangs_up_after, self.hang_up)
        self._skills: dict[str, Callable[..., Work]] = {
            "greet": self._greet,
            "verify": self._verify,
            "intent": self._intent,
            "account": self._account,
            "note": self._note,
            "erase_note": self._erase_note,
            "say": self._say,
            "hold": self._hold,
            "take_up": self._take_up,
            "transfer": self._transfer,
            "callback": self._callback,
            "escalate": self._escalate,
            "hold_message": self._hold_message,
        }

    def facts(self) -> Mapping[str, str]:
        return {
            "call": self.call,
            "caller": "unknown" if self.customer is None else "verified",
            "wish": "open" if self.wish is None else "known",
        }

    def hang_up(self) -> None:
        """The caller ends the call."""
        self.call = "ended"

    def _work(self, skill: str, arguments: Mapping[str, Any], had: Had) -> Work:
        if skill in OFF_THE_LINE:
            return (yield from self._skills[skill](had, **arguments))
        if self._busy:
            raise ToolError("something else is said on the line; wait until it is over")
        self._busy = True
        try:
            return (yield from self._skills[skill](had, **arguments))
        finally:
            self._busy = False

    def _greet(self, had: Had, language: str = "en", text: str | None = None) -> Work:
        self._must_be("ringing")
        self.language, self.call = language, "connected"
        yield from self._speak(text or self._usual("greeting"))
        caller = self.script.caller
        yield ANSWER_SECONDS if caller.language is not None else SILENCE_SECONDS
        self._must_be("connected")
        return had({"number": caller.number, "language": caller.language})

    def _verify(self, had: Had, method: str, attempts: int = 2, number: str | None = None) -> Work:
        self._must_be("connected")
        code = self._code(number) if method == "one_time_code" else None
        silent = 0
        for attempt in range(1, attempts + 1):
            yield from self._speak(self._usual(method))
            answer = yield from self._listen(next(self._proofs.get(method, iter(())), None), code)
            silent += answer is None
            customer = self._proven(method, answer, code)
            if customer is not None:
                self.customer = customer
                return had({"customer": customer.id, "name": customer.name, "number": customer.number, "attempts": attempt})
            if answer is not None:
                yield from self._speak(self._usual("wrong"))
        given = "the caller said nothing" if silent == attempts else f"{attempts - silent} answers were wrong"
        raise ToolError(f"the caller is not verified: {given}; a person of the team takes over")

    def _intent(self, had: Had, question: str | None = None) -> Work:
        self._must_be("connected")
        yield from self._speak(question or self._usual("question"))
        wish = next(self._wishes, None)
        yield from self._listen(None if wish is None else wish.text)
        if wish is None:
            raise TransientToolError("the caller said nothing; asking again may help")
        self.wish = wish
        return had({"topic": wish.topic, "percent": wish.percent, "urgent": wish.urgent, "text": wish.text})

    def _account(self, had: Had, customer: str) -> Work:
        record = self._record(customer)
        yield 0.5
        self.records_read.append(record.id)
        text = f"{record.name}: {record.open_cases} open cases, {record.owed_cents / 100:.2f} to be paid"
        return had({"open_cases": record.open_cases, "owed_cents": record.owed_cents, "blocked": record.blocked, "text": text})

    def _note(self, had: Had, customer: str, text: str) -> Work:
        self._record(customer)
        yield 0.5
        self._number += 1
        name = f"note{self._number}"
        self.notes[name] = text
        return had({"note_id": name})

    def _erase_note(self, had: Had, note_id: str) -> Work:
        yield 0.5
        self.notes.pop(note_id, None)
        return had({})

    def _say(self, had: Had, text: str, about: str | None = None) -> Work:
        self._must_be("connected")
        yield from self._speak(text if about is None else f"{text} {about}")
        return had({})

    def _hold(self, had: Had, seconds: int = 30, text: str | None = None) -> Work:
        self._must_be("connected")
        yield from self._speak(text or self._usual("hold"))
        self.call = "waiting"
        frees = self.script.desk.frees_after
        waits = float(seconds) if frees is None else min(float(seconds), frees)
        for _ in range(int(waits)):
            yield 1.0
            self._must_be("waiting")
        return had({"seconds": round(waits), "free": frees is not None and frees <= seconds})

    def _take_up(self, had: Had) -> Work:
        self._must_be("waiting")
        if self.queued:
            raise ToolError("the call waits for a person of the team; leave it in the queue")
        yield 1.0
        self._must_be("waiting")
        self.call = "connected"
        return had({})

    def _transfer(self, had: Had, team: str, brief: str | None = None) -> Work:
        self._must_be("connected", "waiting")
        customer = self._verified()
        if self.wish is None:
            raise ToolError("nobody is handed over before it is known what they want; ask first")
        if self.call == "connected":
            yield from self._speak(self._usual("transfer"))
        people = self.script.desk.free.get(team, [])  # type: ignore[call-overload]
        ringing = 3.0 if people else RINGING_SECONDS
        for _ in range(int(ringing)):
            yield 1.0
            self._must_be("connected", "waiting")
        if not people:
            raise ToolError(f"nobody of {team} took the call within {RINGING_SECONDS:.0f} s")
        self.call = "ended"
        self.transfers.append((team, customer.id))
        return had({"agent": people[0], "seconds": round(ringing)})

    def _callback(self, had: Had, number: str, minutes: int, about: str | None = None) -> Work:
        self._must_be("connected", "waiting")
        customer = self._verified()
        if _NUMBER.fullmatch(number) is None:
            raise ToolError(f"expected a number as +15551234567, got {number!r:.40}", field="number")
        yield 2.0
        self._must_be("connected", "waiting")
        if number in self.script.desk.unreachable:
            raise ToolError(f"{number} cannot be called: it does not exist or is barred", field="number")
        self._number += 1
        results = had({"ticket": f"ticket{self._number}"})
        self.callbacks.append((number, customer.id))
        yield from self._speak(self._usual("callback"))
        self.call = "ended"
        return results

    def _escalate(self, had: Had, text: str | None = None) -> Work:
        self._must_be("ringing", "connected", "waiting")
        if not self.queued and self._queue_places == 0:
            raise ToolError("the queue of the team takes no more calls")
        self._queue_places -= not self.queued
        self.call, self.queued = "waiting", True
        results = had({"place": 1, "seconds": WAIT_EACH_SECONDS})  # the head of the queue
        yield from self._speak(text or self._usual("escalation"))
        return results

    def _hold_message(self, had: Had) -> Work:
        self._must_be("ringing", "connected", "waiting")
        self.call = "waiting"
        yield from self._speak(self._usual("hold_message"))
        return had({})

    def _speak(self, text: str) -> Generator[float, None, None]:
        self._must_be("ringing", "connected", "waiting")
        self.said.append(Said(self.seconds, "we", text))
        yield min(LONGEST_SPEECH_SECONDS, max(1.0, len(text) / CHARACTERS_A_SECOND))
        self._must_be("ringing", "connected", "waiting")

    def _listen(self, answer: str | None, code: str | None = None) -> Generator[float, None, str | None]:
        yield ANSWER_SECONDS if answer is not None else SILENCE_SECONDS
        self._must_be("connected")
        if answer == READS_THE_CODE:
            answer = code
        if answer is not None:
            self.said.append(Said(self.seconds, "caller", answer))
        return answer

    def _must_be(self, *states: str) -> None:
        if self.call == "ended":
            raise ToolError("the call is over: the caller hung up, or was handed over")
        if self.call not in states:
            raise ToolError(f"the call is {self.call}, expected {' or '.join(states)}")

    def _verified(self) -> Customer:
        if self.customer is None:
            raise ToolError("the caller is not verified; ask for proof first")
        return self.customer

    def _record(self, customer: str) -> Customer:
        verified = self._verified()
        if verified.id != customer:
            raise ToolError("that is the record of somebody else than the verified caller", field="customer")
        return verified

    def _code(self, number: str | None) -> str:
        """Send a code to a number on record."""
        target = number or self.script.caller.number
        if all(customer.number != target for customer in self.script.desk.customers if customer.number is not None):
            raise ToolError("a code is sent to a number on record alone; ask for another proof", field="number")
        self._number += 1
        return f"{(self._number * 7919) % 1_000_000:06d}"

    def _proven(self, method: str, answer: str | None, code: str | None) -> Customer | None:
        """The customer that an answer is the proof of; with a number, only the one of that number."""
        number = self.script.caller.number
        known = [customer for customer in self.script.desk.customers if number is None or customer.number == number]
        for customer in known:
            expected = {"pin": customer.pin, "birth_date": customer.birth_date, "one_time_code": code}[method]
            if answer is not None and answer == expected:
                return customer
        return None

    def _usual(self, name: str) -> str:
        return PHRASES[self.language][name]
