"""The suite `evsi`: held-out sessions lived through under several policies of asking, which act by the same world model.

- `gate` calls the tool with the highest EVSI while one is above 0, each tool once a request at most;
- `never` acts at once; `always TOOL` calls that tool once and then acts;
- `policy` was trained in the model's imagination (`builderbrain.train policy`), at the declared costs; it chooses its acts too;
- `informed` is the gate by exact Bayes, told how sessions are drawn (`evsi_informed.py`);
- `oracle` knows the hidden kind and pays nothing: nobody can have more.

A tool's answer to a request is the same for all of them. A policy earns the utility of its acts minus the cost of its
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from builderbrain.train.world.sessions import Telling, open_session
from builderbrain.train.world.situations import Request
from builderbrain.world.decision import ACTS, DECISION_DOMAINS, DecisionDomain
from builderbrain.world.encoding import Step
from builderbrain.world.evsi import Information
from builderbrain.world.gate import AskGate, Belief, Particles, Verdict
from builderbrain.world.policy import Policy

GATE, POLICY, NEVER, ALWAYS, INFORMED, ORACLE = "gate", "policy", "never", "always", "informed", "oracle"
SCALES = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
"""Factors of the declared costs in the sweep."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """One session under one policy: sums over its requests. `cost` is that of the calls at factor 1."""

    utility: float
    cost: float
    calls: int
    harmful: int

    def net(self, scale: float = 1.0) -> float:
        """What was earned."""
        return self.utility - scale * self.cost


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """EVSI of a tool before its first use in a request, against what the answer then changed.

    Args:
        gross: predicted, before the cost.
        realised: utility of the act after the answer minus that of the act before it, under the true kind.
        regret: what the predicted utility of the act before it was, minus its true utility.
    """

    domain: str
    tool: str
    gross: float
    realised: float
    regret: float


@dataclass(frozen=True, kw_only=True)
class SessionResult:
    """All policies on one session: `always` by tool, `gates` and `informed` by factor of the costs; `policy` where
    there is one; `oracle` is a utility."""

    domain: str
    requests: int
    oracle: float
    never: Played
    always: Mapping[str, Played]
    gates: Mapping[float, Played]
    informed: Mapping[float, Played]
    policy: Played | None
    predictions: tuple[Prediction, ...]


class Actor(Protocol):
    """What ends a request."""

    def act(self, domain: DecisionDomain, history: Sequence[Step]) -> Verdict:
        """Its `act` and `utilities` count."""
        ...


class Adviser(Actor, Protocol):
    """What a gate asks: the best act now, and what a tool is worth before its cost."""

    def worth(self, domain: DecisionDomain, history: Sequence[Step], tool: str) -> Information:
        """With a cost of 0."""
        ...


class Recall:
    """A gate that remembers: equal histories have equal verdicts. Costs are left out: one verdict serves every factor."""

    def __init__(self, gate: AskGate) -> None:
        self.gate = gate
        self._particles: dict[tuple[Step, ...], Particles] = {(): gate.begin()}
        self._known: dict[tuple[Step, ...], Verdict] = {}
        self._worth: dict[tuple[tuple[Step, ...], str], Information] = {}

    def act(self, domain: DecisionDomain, history: Sequence[Step]) -> Verdict:
        """The best act, without looking at tools."""
        key = tuple(history)
        if key not in self._known:
            self._known[key] = self.gate.judge(domain, self.belief(key), without=domain.costs)
        return self._known[key]

    def worth(self, domain: DecisionDomain, history: Sequence[Step], tool: str) -> Information:
        """What a tool is worth before its cost."""
        key = (tuple(history), tool)
        if key not in self._worth:
            self._worth[key] = self.gate.information(domain, self.belief(key[0]), tool, cost=0.0)
        return self._worth[key]

    def belief(self, history: tuple[Step, ...]) -> Belief:
        """What is known after a history. Goes on from the longest history that is known."""
        known = len(history)
        while history[:known] not in self._particles:
            known -= 1
        for end in range(known, len(history)):
            self._particles[history[: end + 1]] = self.gate.follow(self._particles[history[:end]], history[end])
        return self.gate.belief(self._particles[history])


@dataclass(frozen=True)
class PolicyActor:
    """A trained policy, by what `recall` believes; `policy` was trained in its world model."""

    recall: Recall
    policy: Policy

    def act(self, domain: DecisionDomain, history: Sequence[Step]) -> Verdict:
        """The most probable act."""
        act = self.policy.choose(domain, self.recall.belief(tuple(history)), only=ACTS)
        return Verdict(tool=None, act=act, utilities={}, worth={})

    def tool(self, domain: DecisionDomain, history: Sequence[Step], called: frozenset[str]) -> str | None:
        """The tool that it calls next; None when an act is more probable."""
        chosen = self.policy.choose(domain, self.recall.belief(tuple(history)), without=called)
        return None if chosen in ACTS else chosen


Chooser = Callable[[Telling, frozenset[str]], str | None]
"""Which tool to call next, given those already called for this request; None to act."""


def play(domain: DecisionDomain, requests: Sequence[Request], actor: Actor, choose: Chooser) -> Played:
    """Live through a session under a policy."""
    telling = Telling(domain)
    utility = cost = 0.0
    calls = harmful = 0
    for request in requests:
        telling.listen(request)
        called: frozenset[str] = frozenset()
        while (tool := choose(telling, called)) is not None:
            telling.look_up(request, tool)
            called |= {tool}
            cost += domain.costs[tool]
        act = actor.act(domain, telling.steps).act
        utility += telling.act(request, act)
        harmful += (request.kind, act) in domain.harmful
        calls += len(called)
    return Played(utility=utility, cost=cost, calls=calls, harmful=harmful)


def gate_chooser(domain: DecisionDomain, recall: Adviser, scale: float) -> Chooser:
    """The gate's policy at a factor of the costs."""

    def choose(telling: Telling, called: frozenset[str]) -> str | None:
        nets = {
            tool: replace(recall.worth(domain, telling.steps, tool), cost=scale * cost).net
            for tool, cost in domain.costs.items()
            if tool not in called
        }
        best = max(nets, key=lambda tool: nets[tool], default=None)
        return best if best is not None and nets[best] > 0 else None

    return choose


def constant_chooser(tool: str | None) -> Chooser:
    """Call a tool once a request, or none."""
    return lambda _, called: None if tool in called else tool


def predictions(domain: DecisionDomain, requests: Sequence[Request], recall: Recall) -> Iterable[Prediction]:
    """Predicted and realised EVSI of every tool at every request, along the session that never asks."""
    telling = Telling(domain)
    for request in requests:
        telling.listen(request)
        before = recall.act(domain, telling.steps)
        now = domain.utility(request.kind, before.act)
        for tool in domain.costs:
            asked = Telling(domain, state=telling.state, steps=list(telling.steps))
            asked.look_up(request, tool)
            after = recall.act(domain, asked.steps).act
            yield Prediction(
                domain=domain.name,
                tool=tool,
                gross=recall.worth(domain, telling.steps, tool).gross,
                realised=domain.utility(request.kind, after) - now,
                regret=before.utilities[before.act] - now,
            )
        telling.act(request, before.act)


def policy_chooser(domain: DecisionDomain, actor: PolicyActor) -> Chooser:
    """What a trained policy calls."""
    return lambda telling, called: actor.tool(domain, telling.steps, called)


def run_session(
    domain: DecisionDomain, requests: Sequence[Request], recall: Recall, informed: Adviser, policy: Policy | None = None
) -> SessionResult:
    """All policies on one session."""
    actor = None if policy is None else PolicyActor(recall, policy)
    return SessionResult(
        domain=domain.name,
        requests=len(requests),
        oracle=sum(domain.best(request.kind) for request in requests),
        never=play(domain, requests, recall, constant_chooser(None)),
        always={tool: play(domain, requests, recall, constant_chooser(tool)) for tool in domain.costs},
        gates={scale: play(domain, requests, recall, gate_chooser(domain, recall, scale)) for scale in SCALES},
        informed={scale: play(domain, requests, informed, gate_chooser(domain, informed, scale)) for scale in SCALES},
        policy=None if actor is None else play(domain, requests, actor, policy_chooser(domain, actor)),
        predictions=tuple(predictions(domain, requests, recall)),
    )


def run_sessions(
    gates: Mapping[int, AskGate],
    informed: Adviser,
    *,
    policies: Mapping[int, Policy] | None = None,
    sessions: int,
    seed: int,
    on_session: Callable[[], object] = lambda: None,
) -> dict[int, list[SessionResult]]:
    """The same held-out sessions for every world model, by its seed.

    Args:
        policies: those trained in the world models, by their seed; None to go without.
        sessions: of every domain.
        seed: of the sessions; another than that of the training's.
    """
    recalls = {name: Recall(gate) for name, gate in gates.items()}
    results: dict[int, list[SessionResult]] = {name: [] for name in gates}
    for domain in DECISION_DOMAINS:
        for number in range(sessions):
            with open_session(domain, number, seed) as requests:
                for name, recall in recalls.items():
                    results[name].append(run_session(domain, requests, recall, informed, policies[name] if policies else None))
            on_session()
    return results
