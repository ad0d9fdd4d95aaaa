"""A session as it is lived through: requests, calls and acts, and every step leaves a state and a delta."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from builderbrain.data.synthetic import make_skin
from builderbrain.data.trace import Message, RiskLabels, ToolCall, Trace
from builderbrain.train.world.repository import DOMAIN as REPOSITORY
from builderbrain.train.world.repository import RepositorySession
from builderbrain.train.world.situations import Request, draw_circumstance, draw_mood
from builderbrain.train.world.workflows import PREFIX, WorkflowSession
from builderbrain.world.decision import ACTS, DECISION_DOMAINS, DecisionDomain
from builderbrain.world.encoding import LISTEN, Step, action_number, observe, start_state

REQUESTS = (2, 4)
"""Fewest and most requests of a session: with their calls and acts 4 to 20 steps."""
SKINS = 4


@contextmanager
def open_session(domain: DecisionDomain, number: int, seed: int) -> Iterator[Sequence[Request]]:
    """The requests of session `number` of a domain under a seed; equal numbers and seeds give equal sessions."""
    rng = random.Random(f"session {seed} {domain.name} {number}")
    mood = draw_mood(rng)
    circumstances = [draw_circumstance(rng, mood) for _ in range(rng.randint(*REQUESTS))]
    if domain.name == REPOSITORY:
        with RepositorySession(circumstances, rng) as session:
            yield session.requests
        return
    skin = make_skin(rng.randrange(SKINS), seed)
    with WorkflowSession(domain.name.removeprefix(PREFIX), circumstances, skin, rng) as told:
        yield told.requests


@dataclass
class Telling:
    """What was done so far in a session: the state, the encoded steps, and the calls as a trace has them."""

    domain: DecisionDomain
    state: dict[str, Any] = field(default_factory=start_state)
    steps: list[Step] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def listen(self, request: Request) -> None:
        """Take the next request."""
        self.messages.append(Message(role="user", content=request.text))
        after = {**self.state, "requests": self.state["requests"] + 1, "cue": request.cue, "hint": request.hint, "found": {}}
        self._note(LISTEN, {}, {"cue": request.cue, "hint": request.hint}, after)

    def look_up(self, request: Request, tool: str) -> None:
        """Call a read-only tool for the current request."""
        answer = request.look_up(tool)
        after = self.state
        if answer.found is not None:
            after = {**self.state, "found": {**self.state["found"], tool: list(answer.found)}}
        self._note(tool, answer.args, answer.result, after, ok=answer.found is not None)

    def act(self, request: Request, act: str) -> float:
        """End the current request; returns the utility."""
        utility = self.domain.utility(request.kind, act)
        result = {"utility": utility, "harmful": (request.kind, act) in self.domain.harmful}
        self._note(act, {"hint": request.hint}, result, {**self.state, "outcomes": [*self.state["outcomes"], utility > 0]})
        return utility

    def _note(self, tool: str, args: Mapping[str, Any], result: Any, after: dict[str, Any], *, ok: bool = True) -> None:
        seen = observe(self.domain.name, tool, ok=ok, before=self.state, after=after)
        self.steps.append((action_number(self.domain.name, tool), seen))
        name = f"c{len(self.calls) + 1}"
        self.calls.append(ToolCall(id=name, tool=tool, args=args, result=result, ok=ok, state_after=after))
        self.messages.append(Message(role="assistant", content="", calls=(name,)))
        self.state = after


def decision_traces(*, sessions: int, seed: int) -> Iterator[Trace]:
    """Sessions of every domain in turn under a behaviour policy, as traces.

    The policy is a random mixture: before each act it calls 0 to 3 random tools; half of its acts are random, the others go by
    what the last answer seems to say.
    """
    for row in range(sessions):
        number, which = divmod(row, len(DECISION_DOMAINS))
        yield _tell(DECISION_DOMAINS[which], number, seed)


def _tell(domain: DecisionDomain, number: int, seed: int) -> Trace:
    rng = random.Random(f"behaviour {seed} {domain.name} {number}")
    telling = Telling(domain)
    with open_session(domain, number, seed) as requests:
        for request in requests:
            telling.listen(request)
            tools = rng.sample(list(domain.costs), min(len(domain.costs), rng.choice((0, 1, 1, 2, 3))))
            for tool in tools:
                telling.look_up(request, tool)
            plausible = plausible_act(telling.state, tools[-1] if tools else None)
            telling.act(request, rng.choice(ACTS) if rng.random() < 0.5 else plausible)
    name = f"{domain.name}-{seed}-{number}"
    harmful = any(call.tool in ACTS and call.result["harmful"] for call in telling.calls)
    return Trace(
        id=name,
        domain=domain.name,
        messages=tuple(telling.messages),
        calls=tuple(telling.calls),
        risk=RiskLabels(harmful=harmful, kinds=("act",) if harmful else ()),
        state_before=start_state(),
        state_after=telling.state,
        group=name,
    )


def plausible_act(state: Mapping[str, Any], tool: str | None) -> str:
    """What somebody would do who believes the last answer; without one, what was said."""
    found = state["found"].get(tool)
    if found is None:
        return "confirm"
    if len(found) != 1:
        return "ask" if found else "refuse"
    return "confirm" if found[0] == state["hint"] else "redirect"
