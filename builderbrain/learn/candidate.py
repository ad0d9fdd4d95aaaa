"""A candidate in training: a copy of the live rail that learns in micro-steps, and never the live one itself."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from builderbrain.errors import ConfigError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.learn.config import LearnConfig
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.interpolation import pull_back
from builderbrain.rail.pair import Pair
from builderbrain.serve.background import Job
from builderbrain.train.batch import Collator
from builderbrain.train.config import TrainConfig
from builderbrain.train.data import RowSource
from builderbrain.train.objective import compute_objective
from builderbrain.train.rows import Row
from builderbrain.train.run_state import RunState
from builderbrain.train.step import TrainingStep

T = TypeVar("T")
MOST_OUT_OF_MEMORY = 3
"""Steps in a row for which memory did not suffice before the training ends."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a training came to: steps done and dropped, tokens seen, the last loss in nats, micro-steps, the longest in
    seconds."""

    steps: int
    dropped: int
    tokens: int
    loss: float
    micro_steps: int
    longest: float


class Candidate:
    """A rail of its own, loaded from the live version's folder.

    Args:
        folder: of the live version.
        grammar: of the domain's plans, for the host's tokenizer.
        learning: rates, steps and the size of micro-steps.
    """

    def __init__(self, host: Host, folder: Path, grammar: CompiledConstraint, learning: LearnConfig, *, seed: int) -> None:
        self.rail = load_rail(folder).to(host.device)
        self._folder = folder
        self.learning = learning
        text = 1 if learning.rows_per_step < 8 else 2
        self.config = TrainConfig(
            model=host.name,
            start=str(folder),
            output="",
            seed=seed,
            steps=learning.steps,
            batch_size=learning.rows_per_step,
            micro_batches=min(2, learning.rows_per_step),
            base_text_rows=text,
            learning_rate=learning.learning_rate,
            muon_learning_rate=learning.muon_learning_rate,
            warmup_fraction=0.1,
        )
        self.pair = Pair(host, self.rail)
        self.collate = Collator(
            host=host,
            config=self.rail.config,
            grammar=grammar,
            trivial_weight=self.config.trivial_weight,
            literal_weight=self.config.literal_weight,
        )
        self.state = RunState(self.rail, self.config, host.device)
        self.steps_done = self.tokens = 0
        """So far, for whoever watches."""

    def losses(self, rows: Sequence[Row]) -> Job[list[float]]:
        """The loss of each row in nats per weighed token, as the rail is now; a micro-step each."""
        found = []
        for row in rows:
            batch = self.collate([row])
            self.rail.eval()
            with torch.no_grad():
                found.append(float(compute_objective(self.pair, batch).plan))
            yield
        return found

    def train(self, source: RowSource) -> Job[Trained]:
        """All steps of the training. Where a step fails for want of memory it is dropped; where its loss is not finite it is
        dropped and all rates are halved.

        Raises:
            ConfigError: neither helps.
        """
        update = TrainingStep(self.pair, self.state, source, self.collate, self.config)
        parts, dropped, short, loss, count, longest = self.config.micro_batches, 0, 0, float("nan"), 0, 0.0
        while self.state.step < self.learning.steps:
            self.rail.train()
            timed = Timed()
            try:
                log, tokens = yield from timed.run(update.stages())
            except (MemoryError, torch.OutOfMemoryError) as error:
                self.rail.zero_grad(set_to_none=True)
                short, dropped, parts = short + 1, dropped + 1, self.learning.rows_per_step
                if short >= MOST_OUT_OF_MEMORY:
                    raise ConfigError(
                        f"memory did not suffice for {short} training steps in a row; lower rows_per_step",
                        field="rows_per_step",
                    ) from error
            else:
                short = 0
                self.tokens += tokens
                loss = log["loss"]
                if self.state.dropped:
                    dropped += 1
                    self._halve_rates()
                parts = parts_for(parts, timed.longest, self.learning.micro_step_seconds, self.learning.rows_per_step)
            count, longest = count + timed.count, max(longest, timed.longest)
            update.config = replace(self.config, micro_batches=parts)
            self.state.step += 1
            self.steps_done = self.state.step
            yield
        self.rail.eval()
        return Trained(
            steps=self.state.step, dropped=dropped, tokens=self.tokens, loss=loss, micro_steps=count, longest=longest
        )

    def pull_back(self, keep: float) -> None:
        """Leave so much of the change since the live version; see `rail.interpolation`."""
        pull_back(self.rail, load_rail(self._folder), keep)

    def save(self, folder: Path, information: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Write the rail with what it was trained on."""
        save_rail(self.rail.eval(), folder, information=information, files=files)

    def _halve_rates(self) -> None:
        for optimizer in self.state.optimizers:
            for group in optimizer.param_groups:
                group["initial_lr"] = 0.5 * group.setdefault("initial_lr", group["lr"])


class Timed:
    """How long the pieces of a generator take, the caller's pauses left out."""

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0

    def run(self, pieces: Generator[None, None, T]) -> Job[T]:
        """The generator, watched."""
        while True:
            started = time.monotonic()
            try:
                next(pieces)
            except StopIteration as finished:
                result: T = finished.value
                return result
            finally:
                self.count += 1
                self.longest = max(self.longest, time.monotonic() - started)
            yield


def parts_for(parts: int, longest: float, target: float, most: int) -> int:
    """Into how many parts the next step is cut, from what the longest piece of the last one took. More at once where it was too
    long, fewer one at a time where it was less than half of what it may be: then two parts fit where one did."""
    if longest > target:
        return min(most, max(parts + 1, round(parts * longest / target)))
    return max(1, parts - 1) if longest < 0.5 * target else parts
