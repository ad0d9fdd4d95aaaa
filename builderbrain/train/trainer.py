"""Stage 1: train a rail under constraints. Resumable at any step; killed and started again it gives the same losses."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import save_rail
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from builderbrain.train.batch import Collator
from builderbrain.train.boot import boot_checks
from builderbrain.train.checkpoint import load_checkpoint, save_checkpoint
from builderbrain.train.config import TrainConfig
from builderbrain.train.data import RowSource
from builderbrain.train.held_out import HeldOut
from builderbrain.train.lifecycle.events import SkillHistory
from builderbrain.train.lifecycle.lifecycle import Lifecycle
from builderbrain.train.ranks import Ranks
from builderbrain.train.run_folder import RunFolder
from builderbrain.train.run_state import RunState
from builderbrain.train.step import TrainingStep
from builderbrain.train.telemetry import SilentTelemetry, Telemetry, wants_tensorboard

_ROWS_WITH_EDGES = 16
"""Enough goals that one of them has two steps: without, the edges of a plan head would seem dead."""


class Trainer:
    """One run. `run()` goes from the last checkpoint to the end; `state` is what it has come to, `update` moves it a step."""

    def __init__(
        self,
        host: Host,
        rail: BuilderRail,
        grammar: CompiledConstraint,
        source: RowSource,
        config: TrainConfig,
        ranks: Ranks | None = None,
    ) -> None:
        self.config, self.source = config, source
        self.ranks = Ranks() if ranks is None else ranks
        self.pair = Pair(host, rail.to(host.device).train())
        self.rail = rail
        self.folder = Path(config.output)
        self.place = RunFolder(self.folder, "rail")
        self.tensorboard = wants_tensorboard(config.tensorboard)
        self.state = RunState(rail, config, host.device)
        self.collate = Collator(
            host=host,
            config=rail.config,
            grammar=grammar,
            trivial_weight=config.trivial_weight,
            literal_weight=config.literal_weight,
            width_multiple=config.width_multiple,
        )
        self.update = TrainingStep(self.pair, self.state, source, self.collate, config, self.ranks)
        self.held_out = HeldOut(self.pair, source, self.collate, config)
        self.life = self._life() if config.skills.on else None

    def resume(self) -> None:
        """Go on from the last checkpoint of the output folder, if there is one.

        Raises:
            CheckpointError: the folder holds a run with another configuration.
        """
        checkpoint = load_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self.state.restore(checkpoint)
        if self.life is not None:
            self.life.resume(self.state.step)
        self.ranks.agree("step to go on from", lambda: self.state.step)

    def save(self) -> None:
        """Write a checkpoint of the run as it is now, after seeing that all processes have come to the same.

        Raises:
            OSError: the disk is full or gone; older checkpoints are untouched.
            RankError: another process is gone, or has drifted away.
        """
        checkpoint = self.state.checkpoint()
        self.ranks.agree(f"state after step {self.state.step}", checkpoint.digest)
        if self.ranks.first:
            save_checkpoint(self.folder / "checkpoints", checkpoint)

    def check(self) -> None:
        """Stage 0; see `builderbrain.train.boot`."""
        rows = self.config.batch_size if self.rail.plan is None else max(self.config.batch_size, _ROWS_WITH_EDGES)
        batch = self.collate(self.source.rows(0, rows))
        domain = self.source.domain
        name = None if domain.grammar else domain.name
        boot_checks(self.pair, batch, domain=name, version=domain.version, fresh=not self.config.start)

    def run(self) -> Path:
        """Check, resume, train, save; returns the folder of the trained rail.

        Raises:
            SchemaError, DeadGradientError: stage 0 refuses to start.
            CheckpointError: the output folder holds a run with another configuration.
            ConfigError: the loss was not finite five times in a row.
            OutputError: the output folder cannot be written, e.g. because the disk is full; another run is at work in it, or it
                holds the result of an earlier one.
            RankError: another process of the run is gone.
        """
        with self.place.held(writes=self.ranks.first):
            return self._run()

    def _run(self) -> Path:
        self.resume()
        state, steps = self.state, self.config.steps
        if self.ranks.from_first(lambda: state.step == steps and self.place.is_finished(self.ranks.say)):
            return self.place.product
        if state.step == 0:
            if self.ranks.first:
                self.place.begin(state.identity)
            self.ranks.say("stage 0: goldens, gradient flow, and whether the pair equals its base ...")
            self.check()
        telemetry: Telemetry | SilentTelemetry = SilentTelemetry()
        if self.ranks.first:
            telemetry = Telemetry(self.folder, steps=steps, first_step=state.step, tensorboard=self.tensorboard)
        if state.step:
            telemetry.note(f"resumed at step {state.step}")
        try:
            while state.step < steps:
                values, tokens = self.train_step()
                if (state.step + 1) % self.config.evaluation_every == 0:
                    values |= self.evaluate()
                    values["alarms"] += self.update.new_alarms()
                telemetry.record(state.step, values, tokens=tokens)
                for alarm in values["alarms"]:
                    telemetry.note(f"alarm {alarm['name']}, step {state.step + 1}: {alarm['message']}")
                for event in values.get("skill_events", []):
                    telemetry.note(f"{event['kind']} of skills {event['skills']}, step {state.step + 1}; see skills.jsonl")
                state.step += 1
                if state.step % self.config.checkpoint_every == 0 or state.step == steps:
                    telemetry.flush()
                    self.save()
        finally:
            telemetry.close()
        self.rail.eval()
        if self.ranks.first:
            self.place.finish(partial(save_rail, self.rail, information=state.information()), self.ranks.say)
        self.ranks.agree("end of the run", lambda: state.step)
        return self.place.product

    def train_step(self) -> tuple[dict[str, Any], int]:
        """One step, which is not counted yet; returns what to log and the number of tokens seen."""
        values, tokens = self.update()
        if self.life is not None and not self.state.dropped:
            readings = {name: entry["reading"] for name, entry in values["constraints"].items()}
            values |= self.life.after_step(self.state.step, self.update.usage, readings)
        return values, tokens

    def _life(self) -> Lifecycle:
        return Lifecycle(
            self.pair,
            self.state.windows,
            constraints=self.config.constraints,
            optimizers=self.state.optimizers,
            held_out=self.held_out.batch,
            history=SkillHistory(self.folder, writes=self.ranks.first),
            seed=self.config.seed,
        )

    def evaluate(self) -> dict[str, Any]:
        """Held-out readings; also moves the alpha budget, and says which debts hold it back."""
        self.rail.eval()
        readings = self.ranks.from_first(self.held_out.read)
        self.rail.train()
        self.state.watch.observe_concepts(
            readings["held_out_concept_cosine"], done=self.state.step + 1, steps=self.config.steps
        )
        schedule = self.state.schedule
        held_by = schedule.update(readings["held_out_plan"], self.held_out.debts(readings))
        self.rail.gates.set_budget(schedule.budget)
        return readings | ({"budget_held_by": held_by} if held_by else {})
