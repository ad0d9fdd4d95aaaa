"""A generator of requests as a domain of training."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goal import Goal
from builderbrain.train.spoken.labels import token_slots


def training_domain(
    name: str,
    request: Callable[[random.Random], Goal],
    *,
    kinds: Sequence[str],
    intents: Sequence[str],
    actions: Sequence[str],
    span_slots: Sequence[str],
    compared: Sequence[str] = (),
    version: int | None = None,
) -> TrainingDomain:
    """The domain of the requests that `request` makes of a generator of random numbers; `kinds` are those of its clauses.

    `compared` are results that its conditions compare with a number.
    `version` is that of the domain, None for the first, which is in use.
    """

    def goals(seed: int) -> Iterator[Goal]:
        rng = random.Random(seed)
        while True:
            yield request(rng)

    def calls(seed: int) -> Iterator[str]:
        return (goal.plan.split("\n")[0].removeprefix("s1=") for goal in goals(seed))

    def held_out(seed: int, count: int) -> list[Goal]:
        """Of a seed that no step of training has."""
        return list(islice(goals(seed), count))

    return TrainingDomain(
        name=name,
        intents=tuple(intents),
        actions=tuple(actions),
        span_slots=tuple(span_slots),
        token_slots=token_slots(name, kinds, compared, version or 1),
        choice_slots=(),
        goals=goals,
        calls=calls,
        held_out=held_out,
        version=version,
    )
