"""Requests of the synthetic domains: their read-only tasks answer, laid out by a skin, and not always rightly.

What a task sees is declared in `SIGHTS`. Equal seeds give equal answers, and the same lookup of a request always the same one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from builderbrain.data.synthetic import WORKFLOWS, Skin, Workflow
from builderbrain.train.world.situations import CUE_TEXTS, Answer, Circumstance
from builderbrain.world.decision import KINDS

PREFIX = "synthetic_"
FAILS = 0.04
"""Chance that a lookup fails."""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a task tells of the kind.

    Args:
        sees: `all` tells what fits, `said` only whether it is as the person said, `any` only whether there is something.
        right: chance that it goes by the true kind; otherwise it goes by a random one, as stale data would.
    """

    sees: Literal["all", "said", "any"]
    right: float


SIGHTS: Mapping[str, Mapping[str, Sight]] = {
    "orders": {"find": Sight(sees="all", right=0.92)},
    "appointments": {"find": Sight(sees="any", right=0.95), "list": Sight(sees="all", right=0.92)},
    "incidents": {
        "find": Sight(sees="any", right=0.8),
        "read": Sight(sees="all", right=0.88),
        "measure": Sight(sees="said", right=0.9),
    },
}


class WorkflowRequest:
    """A request of a workflow; `hint` is the identifier that the person means."""

    def __init__(self, circumstance: Circumstance, workflow: Workflow, skin: Skin, rng: random.Random) -> None:
        self.cue, self.kind = circumstance.cue, circumstance.kind
        self._workflow, self._skin = workflow, skin
        self._slots = {name: rng.choice(choices) for name, choices in workflow.slots.items()}
        numbers = rng.sample(range(10_000, 100_000), 8)
        self.hint, *self._others = (f"{workflow.name[:3]}-{number}" for number in numbers)
        self._seed = rng.getrandbits(64)
        self._answers: dict[str, Answer] = {}
        ask = rng.choice(workflow.requests).format(**self._slots)
        self.text = CUE_TEXTS[self.cue].format(ask=ask if ask.endswith(".") else f"{ask}.", hint=self.hint)

    def look_up(self, tool: str) -> Answer:
        """Call the task with this verb."""
        if tool not in self._answers:
            self._answers[tool] = self._ask(tool)
        return self._answers[tool]

    def _ask(self, tool: str) -> Answer:
        rng = random.Random(f"lookup {self._seed} {tool}")
        task = next(task for task in self._workflow.tasks if task.verb == tool and task.changes is None)
        args = {self._skin.key(name): self._slots.get(source, self._others[-1]) for name, source in task.takes.items()}
        if rng.random() < FAILS:
            return Answer(args=args, result={"error": "try again later"}, found=None)
        sight = SIGHTS[self._workflow.name][tool]
        kind = self.kind if rng.random() < sight.right else rng.choice(KINDS)
        found = self._fitting(kind, rng)
        if sight.sees == "any":
            found = found and (self._others[0],)
        elif sight.sees == "said":
            found = (self.hint,) if kind == "as_said" else ()
        gives = task.gives[0]
        return Answer(args=args, result=[self._skin.result({gives: name}) for name in found], found=found)

    def _fitting(self, kind: str, rng: random.Random) -> tuple[str, ...]:
        several = [*rng.sample(self._others[:-1], rng.choice((1, 2))), rng.choice((self.hint, self._others[0]))]
        fits = {
            "as_said": (self.hint,),
            "otherwise": (self._others[1],),
            "several": tuple(dict.fromkeys(several)),
            "absent": (),
        }
        return fits[kind]


class WorkflowSession(AbstractContextManager["WorkflowSession"]):
    """The requests of a session in one synthetic domain under one skin."""

    def __init__(self, name: str, circumstances: Sequence[Circumstance], skin: Skin, rng: random.Random) -> None:
        workflow = next(workflow for workflow in WORKFLOWS if workflow.name == name)
        self.requests = [WorkflowRequest(circumstance, workflow, skin, rng) for circumstance in circumstances]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to give back."""
