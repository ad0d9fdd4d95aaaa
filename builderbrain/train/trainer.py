"""Stage 1: train a rail under constraints. Resumable at any step; killed and started again it gives the same losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

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
from builderbrain.train.objective import compute_objective
from builderbrain.train.run_state import RunState
from builderbrain.train.step import TrainingStep
from builderbrain.train.telemetry import Telemetry, wants_tensorboard

_ROWS_WITH_EDGES = 16
"""Enough goals that one of them has two steps: without, the edges of a plan head would seem dead."""


class Trainer:
    """One run. `run()` goes from the last checkpoint to the end; `state` is what it has come to, `update` moves it a step."""

    def __init__(
        self, host: Host, rail: BuilderRail, grammar: CompiledConstraint, source: RowSource, config: TrainConfig
    ) -> None:
        self.config, self.source = config, source
        self.pair = Pair(host, rail.to(host.device).train())
        self.rail = rail
        self.folder = Path(config.output)
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
        self.update = TrainingStep(self.pair, self.state, source, self.collate, config)
        self.held_out = self.collate(source.held_out(config.evaluation_rows))

    def resume(self) -> None:
        """Go on from the last checkpoint of the output folder, if there is one.

        Raises:
            CheckpointError: the folder holds a run with another configuration.
        """
        checkpoint = load_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self.state.restore(checkpoint)

    def save(self) -> None:
        """Write a checkpoint of the run as it is now.

        Raises:
            OSError: the disk is full or gone; older checkpoints are untouched.
        """
        save_checkpoint(self.folder / "checkpoints", self.state.checkpoint())

    def check(self) -> None:
        """Stage 0; see `builderbrain.train.boot`."""
        rows = self.config.batch_size if self.rail.plan is None else max(self.config.batch_size, _ROWS_WITH_EDGES)
        batch = self.collate(self.source.rows(0, rows))
        boot_checks(self.pair, batch, domain=self.source.domain.name, fresh=not self.config.start)

    def run(self) -> Path:
        """Check, resume, train, save; returns the folder of the trained rail.

        Raises:
            SchemaError, DeadGradientError: stage 0 refuses to start.
            CheckpointError: the output folder holds a run with another configuration.
            ConfigError: the loss was not finite five times in a row.
        """
        self.resume()
        state, steps = self.state, self.config.steps
        target = self.folder / "rail"
        if state.step == steps and target.exists():
            return target
        if state.step == 0:
            print("stage 0: goldens, gradient flow, and whether the pair equals its base ...", flush=True)
            self.check()
        telemetry = Telemetry(self.folder, steps=steps, first_step=state.step, tensorboard=self.tensorboard)
        if state.step:
            telemetry.note(f"resumed at step {state.step}")
        try:
            while state.step < steps:
                values, tokens = self.train_step()
                if (state.step + 1) % self.config.evaluation_every == 0:
                    values |= self.evaluate()
                telemetry.record(state.step, values, tokens=tokens)
                for alarm in values["alarms"]:
                    telemetry.note(f"alarm {alarm['name']}, step {state.step}: {alarm['message']}")
                state.step += 1
                if state.step % self.config.checkpoint_every == 0 or state.step == steps:
                    telemetry.flush()
                    self.save()
        finally:
            telemetry.close()
        self.rail.eval()
        if not target.exists():
            save_rail(self.rail, target)
        return target

    def train_step(self) -> tuple[dict[str, Any], int]:
        """One step, which is not counted yet; returns what to log and the number of tokens seen."""
        return self.update()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out readings; also moves the alpha budget."""
        self.rail.eval()
        objective = compute_objective(self.pair, self.held_out)
        self.rail.train()
        row = self.held_out.positions // self.held_out.tokens.shape[1]
        wrong = row.bincount((~objective.confident).float(), minlength=len(self.held_out.lengths))
        loss = float(objective.plan)
        self.state.schedule.update(loss)
        self.rail.gates.set_budget(self.state.schedule.budget)
        return {
            "held_out_plan": loss,
            "held_out_policy": float(objective.policy),
            "held_out_exact": float((wrong == 0).float().mean()),
            "held_out_tokens_right": float(objective.confident.float().mean()),
        }
