"""What training has to know of a domain of plans: where goals come from, and what the heads of a rail predict of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builderbrain.plan import Plan
from builderbrain.rail.config import TokenSlots
from builderbrain.train.goal import Goal


@dataclass(frozen=True, kw_only=True)
class TrainingDomain:
    """One domain as a source of training rows.

    `name` is the domain of the schemas, `version` the one whose grammar its plans are written in, None for the version in use.
    `intents` to `choice_slots` are what the heads predict, as in `RailConfig`; there is at least one intent, action and span
    slot, and every goal names options of these.

    `grammar` is the EBNF of its plans, empty for that of the schemas; a domain with one of its own has no goldens.

    `goals` and `calls` go on for ever, and the same seed gives the same ones. `goals`: to train on. `calls`: first steps of
    such plans without their `s1=`, to stand in for steps of other plans. `held_out` (seed, count): at most `count` goals that
    `goals` never yields. `from_plan` labels a request and its plan of somebody's data, None where that is not to be had.
    """

    name: str
    intents: tuple[str, ...]
    actions: tuple[str, ...]
    span_slots: tuple[str, ...]
    token_slots: TokenSlots
    choice_slots: tuple[tuple[str, tuple[str, ...]], ...]
    goals: Callable[[int], Iterator[Goal]]
    calls: Callable[[int], Iterator[str]]
    held_out: Callable[[int, int], list[Goal]]
    version: int | None = None
    grammar: str = ""
    from_plan: Callable[[str, Plan], Goal] | None = None
