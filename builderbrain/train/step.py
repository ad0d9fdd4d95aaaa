"""One step of training: readings of every part of the batch, one backward pass each, one update, and what to log of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from builderbrain.errors import ConfigError
from builderbrain.hosts.cached_states import CachedStates
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import Memory
from builderbrain.train.alarms import Alarm
from builderbrain.train.batch import Collator
from builderbrain.train.config import TrainConfig
from builderbrain.train.constraint_reading import ConstraintReading
from builderbrain.train.data import RowSource
from builderbrain.train.disk import last_good
from builderbrain.train.objective import Objective, compute_objective
from builderbrain.train.optimizers import step_all
from builderbrain.train.part_report import PART_REPORT, PartReport
from builderbrain.train.parts import PART_SIZE, Part, PartSize, Shares, shares_of, step_parts
from builderbrain.train.ranks import Ranks
from builderbrain.train.run_state import RunState
from builderbrain.train.schedule import learning_rate_scale, router_temperature
from builderbrain.train.watch import Ease, Seen

_POSITIONS = 1 << 40
"""From the seed of a part's other draws to that of the positions that are read."""
MAX_DROPPED = 5
"""Steps in a row whose loss is not finite before a run stops."""


class TrainingStep:
    """Moves a `RunState` by one step; `state.step` itself is counted on by the caller."""

    def __init__(
        self,
        pair: Pair,
        state: RunState,
        source: RowSource,
        collate: Collator,
        config: TrainConfig,
        ranks: Ranks | None = None,
    ) -> None:
        self.pair, self.state, self.source, self.collate, self.config = pair, state, source, collate, config
        self.ranks = Ranks() if ranks is None else ranks
        self.usage = [0.0] * state.rail.config.num_skills  # real tokens of the last step's goals, by row
        self.scales = {
            "plan": 1.0,
            "policy": config.policy_weight,
            "copy": config.copy_weight,
            "labels": config.label_weight,
            "pins": config.pin_weight,
        }

    def __call__(self) -> tuple[dict[str, Any], int]:
        """One update from the summed gradients of the batch's parts; returns what to log and the number of tokens seen.

        Raises:
            ConfigError: the loss was not finite five times in a row.
            RankError: another process of the run is gone.
        """
        stages = self.stages()
        while True:
            try:
                next(stages)
            except StopIteration as finished:
                done: tuple[dict[str, Any], int] = finished.value
                return done

    def stages(self) -> Generator[None, None, tuple[dict[str, Any], int]]:
        """The same update in pieces: somebody else may use the model at every `yield`. A step that is left half done has
        changed no weight; its gradients go with the next one's beginning.
        """
        state, config = self.state, self.config
        parts: dict[int, Part] = {}
        for part in self.iter_parts():
            parts[part.index] = part
            yield
        sizes = self.ranks.share({index: PartSize.of(part) for index, part in parts.items()}, PART_SIZE)
        shares = shares_of(sizes)
        values: defaultdict[str, float] = defaultdict(float)
        readings = {
            constraint.name: ConstraintReading(dual=dual.value, weight=dual.weight * state.balance.weight(constraint.name))
            for constraint, dual in state.constraints
        }
        state.rail.zero_grad(set_to_none=True)
        weights_now = {name: reading.weight for name, reading in readings.items()}
        reports: list[PartReport] = []
        for report in self._reports(parts, shares, weights_now):
            if report is None:
                yield
                continue
            reports.append(replace(report, balance={}))
            for name, value in (*report.terms.items(), ("loss", report.loss)):
                values[name] += value
            for constraint, _ in state.constraints:
                constraint.see(report.shown[constraint.name])
                if constraint.name in report.readings:
                    readings[constraint.name].add(*report.readings[constraint.name])
            state.balance.add(report.balance)
        yield
        scale = learning_rate_scale(state.step, steps=config.steps, warmup_fraction=config.warmup_fraction)
        norm = self.move(values["loss"], scale)
        ease = Ease.mean(report.ease for report in reports)
        weights = self.scales | {constraint.name: dual.weight for constraint, dual in state.constraints}
        conflict = state.balance.finish(weights, state.step)
        usage = torch.tensor([report.usage for report in reports]).sum(0)
        if config.skills.on:
            self.usage = torch.tensor([report.real_usage for report in reports]).sum(0).tolist()
        for constraint, _ in state.constraints:
            constraint.settle(done=math.isfinite(norm))
        constraints = {
            constraint.name: readings[constraint.name].to_json(dual.normaliser) | constraint.extra()
            for constraint, dual in state.constraints
            if readings[constraint.name].count
        }
        covariances: dict[str, float] = {}
        if math.isfinite(norm):
            covariances = self._settle(readings, ease)
            closed = {row for row in range(len(usage)) if state.rail.book.in_row(row) is None}
            state.watch.observe_skills(usage.tolist(), closed)
            concepts = torch.cat([report.concept.to(state.memory.device) for report in reports])
            # Spread over all lengths of goals, since the parts are ordered by length.
            slots = state.memory.shape[0]
            state.memory = concepts[torch.arange(slots) * len(concepts) // slots].clone()
        log = {
            **values,
            "gradient_norm": norm,
            "learning_rate": config.learning_rate * scale,
            "alpha_budget": state.schedule.budget,
            "alpha_mean": state.rail.gates().mean(1).tolist(),
            "constraints": constraints,
            "ease": ease.signals(),
            "alarms": self.new_alarms(),
            **({"conflict": conflict} if conflict else {}),
            **({"ease_covariance": covariances} if covariances else {}),
            **_variety(usage),
            "dropped_steps": state.dropped,
            **self._cached(),
        }
        return log, sum(size.tokens for size in sizes)

    def _reports(
        self, parts: Mapping[int, Part], shares: Sequence[Shares], weights: Mapping[str, float]
    ) -> Iterator[PartReport | None]:
        """What each part's two passes say; None between the passes. Several processes run a part's passes in one piece, since
        each waits for the others."""
        if self.ranks.size > 1:
            yield from self.ranks.run_parts(
                len(shares),
                lambda index: self._backward(self.forward(parts[index]), shares[index], weights),
                list(self.state.rail.parameters()),
                PART_REPORT,
            )
            return
        for index in range(len(shares)):
            objective = self.forward(parts[index])
            yield None
            yield self._backward(objective, shares[index], weights)
            yield None

    def parts(self) -> list[Part]:
        """This step's rows, as far as this process runs them."""
        return list(self.iter_parts())

    def iter_parts(self) -> Iterator[Part]:
        """The same, one by one."""
        return step_parts(
            self.state.step,
            source=self.source,
            collate=self.collate,
            tokenizer=self.pair.host.tokenizer,
            config=self.config,
            ranks=self.ranks,
        )

    def forward(self, part: Part) -> Objective:
        """The objective with router noise and memory drawn from (seed, step, part)."""
        config, state = self.config, self.state
        rows, width = part.batch.tokens.shape
        rows += 0 if part.text is None else part.text.shape[0]
        number = (config.seed * 1_000_003 + state.step) * config.micro_batches + part.index
        generator = torch.Generator().manual_seed(number)
        uniform = torch.rand(rows, width, state.rail.config.num_routes, generator=generator).clamp(1e-6, 1.0 - 1e-6)
        device, slots = self.pair.host.device, state.memory.shape[0]
        remembered = torch.rand(rows, generator=generator) < config.memory_fraction
        counts = torch.randint(1, slots + 1, (rows,), generator=generator)
        lengths = torch.where(remembered if state.step else torch.zeros_like(remembered), counts, 0)
        memory = Memory(tokens=state.memory.expand(rows, -1, -1), lengths=lengths.to(device))
        first, last = config.router_temperature
        return compute_objective(
            self.pair,
            part.batch,
            base_text=part.text,
            memory=memory,
            gumbel=-torch.log(-torch.log(uniform)).to(device),
            temperature=router_temperature(state.step, steps=config.steps, first=first, last=last),
            text_positions=self._text_positions(part, number),
        )

    def _text_positions(self, part: Part, number: int) -> Tensor | None:
        """Which of the part's tokens of ordinary text are read, drawn anew for every part; None for all of them.

        The mean over them estimates that over all without bias, and the products with the head are what a divergence costs.
        """
        wanted = self.config.base_text_positions
        if part.text is None or not 0 < wanted < part.text.numel():
            return None
        generator = torch.Generator().manual_seed(_POSITIONS + number)  # its own: the other draws stay what they are
        return torch.randperm(part.text.numel(), generator=generator)[:wanted].sort().values.to(part.text.device)

    def move(self, loss: float, scale: float) -> float:
        """One step of the optimisers; returns the gradient norm. Without a finite loss and norm it is dropped and counted.

        Raises:
            ConfigError: it was the fifth in a row.
        """
        state = self.state
        norm = float(torch.nn.utils.clip_grad_norm_(state.rail.parameters(), self.config.gradient_clip))
        if not (math.isfinite(norm) and math.isfinite(loss)):
            state.dropped += 1
            if state.dropped >= MAX_DROPPED:
                raise ConfigError(
                    f"the loss was not finite {state.dropped} steps in a row, the last at step {state.step + 1}; "
                    "lower learning_rate and muon_learning_rate or look at the data of that step; "
                    f"{last_good(Path(self.config.output))}, no dropped step has changed the weights",
                    field="learning_rate",
                )
            return math.nan
        state.dropped = 0
        step_all(state.optimizers, scale)
        return norm

    def _backward(self, objective: Objective, shares: Shares, weights: Mapping[str, float]) -> PartReport:
        """Add a part's gradients to the rail's; `weights` multiply the constraints' readings. Returns what the step takes."""
        balance, skills = self.state.balance, self.state.rail.config.num_skills
        readings: dict[str, tuple[float, float, int]] = {}
        terms = {
            "plan": objective.plan * shares.weight / shares.weights,
            "policy": objective.policy * shares.rows,
            "copy": objective.copy * shares.rows,
            "labels": objective.labels * shares.rows,
            "pins": objective.pins * shares.rows,
        }
        losses = dict(terms)
        loss = torch.zeros((), device=self.state.memory.device)
        for name, term in terms.items():
            loss = loss + self.scales[name] * balance.weight(name) * term
        for constraint, dual in self.state.constraints:
            reading = constraint.reading(objective.signals)
            if reading is not None:
                share = shares.of(constraint)
                loss = loss + share * weights[constraint.name] * (reading - dual.config.target)
                losses[constraint.name] = share * reading
                readings[constraint.name] = (share, float(reading.detach()), constraint.count(objective.signals))
        gradients = balance.differentiate(losses)
        loss.backward()
        goals = objective.signals.goals
        return PartReport(
            terms={name: float(term.detach()) for name, term in terms.items()},
            loss=float(loss.detach()),
            readings=readings,
            shown={constraint.name: constraint.shown() for constraint, _ in self.state.constraints},
            ease=objective.ease,
            usage=_counts(objective.skills, skills),
            real_usage=_counts(goals.skill[goals.real], skills),
            concept=objective.concept,
            balance=gradients,
        )

    def _cached(self) -> dict[str, Any]:
        """What the cache of states did since the step before, its share of hits first of all."""
        host = self.pair.host
        return {"state_cache": host.report()} if isinstance(host, CachedStates) else {}

    def new_alarms(self) -> list[dict[str, str]]:
        """Those whose condition has begun to hold since they were last asked for, as they are logged."""
        state = self.state
        found = [*state.balance.alarms(), *state.watch.alarms()]
        if state.dropped:
            message = (
                f"the loss or its gradient was not finite, so the step changed nothing; {MAX_DROPPED} in a row end the run"
            )
            found.append(Alarm(name="step_dropped", subject="loss", message=f"{message}. Look at the data of this step"))
        return [alarm.to_json() for alarm in state.bell.ring(found)]

    def _settle(self, readings: Mapping[str, ConstraintReading], ease: Ease) -> dict[str, float]:
        """Move the duals and let the watches see the step; returns covariances to log."""
        for constraint, dual in self.state.constraints:
            if readings[constraint.name].count:
                dual.update(readings[constraint.name].value)
        seen = {
            constraint.name: Seen(
                dual=dual.value,
                cap=dual.config.cap,
                reading=readings[constraint.name].value,
                count=readings[constraint.name].count,
            )
            for constraint, dual in self.state.constraints
        }
        return self.state.watch.observe(self.state.step, seen, ease)


def _counts(taken: Tensor, skills: int) -> list[float]:
    """How often each of `skills` was taken."""
    return [float(count) for count in torch.bincount(taken.flatten(), minlength=skills).tolist()]


def _variety(usage: Tensor) -> dict[str, float]:
    """Entropy in nats of the skills taken, and how many were taken at all."""
    share = usage / usage.sum()
    return {"skill_entropy": float(-(share * share.clamp(min=1e-9).log()).sum()), "skills_used": int((usage > 0).sum())}
