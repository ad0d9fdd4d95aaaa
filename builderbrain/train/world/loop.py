"""A run of stage 2: resumable at any step; killed and started again it ends with the same weights."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch

from builderbrain.errors import ConfigError
from builderbrain.train.alarms import Alarm
from builderbrain.train.checkpoint import load_checkpoint, save_checkpoint
from builderbrain.train.disk import last_good
from builderbrain.train.run_folder import RunFolder
from builderbrain.train.step import MAX_DROPPED
from builderbrain.train.telemetry import Telemetry, wants_tensorboard
from builderbrain.train.world.run_state import RunState


class StageRun(ABC):
    """What the trainers of stage 2 share. `run()` goes from the last checkpoint to the end; `state` is what it has come to.

    Args:
        state: of a run that has not begun.
        name: of the folder of what is trained, within the output folder.
    """

    def __init__(self, state: RunState, *, name: str) -> None:
        self.state = state
        self.folder = Path(state.config.output)
        self.place = RunFolder(self.folder, name)
        self.tensorboard = wants_tensorboard(state.config.tensorboard)

    @abstractmethod
    def check(self) -> None:
        """One backward pass on a jittered copy.

        Raises:
            DeadGradientError: names the parameters that get no finite, non-zero gradient.
        """

    @abstractmethod
    def train_step(self) -> tuple[dict[str, Any], int]:
        """One step, which is not counted yet; returns what to log and the number of steps of sessions seen.

        Raises:
            ConfigError: the loss was not finite five times in a row.
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write what was trained into a folder that does not exist."""

    @abstractmethod
    def headline(self, values: dict[str, Any]) -> str:
        """What to show of the values of a step."""

    def resume(self) -> None:
        """Go on from the last checkpoint of the output folder, if there is one.

        Raises:
            CheckpointError: the folder holds a run with another configuration or other data.
        """
        checkpoint = load_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self.state.restore(checkpoint)

    def run(self) -> Path:
        """Check, resume, train, save; returns the folder of what was trained.

        Raises:
            DeadGradientError: the check refuses to start.
            CheckpointError: the output folder holds a run with another configuration or other data.
            ConfigError: the loss was not finite five times in a row.
            OutputError: the output folder cannot be written, e.g. because the disk is full; another run is at work in it, or it
                holds the result of an earlier one.
        """
        with self.place.held():
            return self._run()

    def _run(self) -> Path:
        self.resume()
        state, config = self.state, self.state.config
        if state.step == config.steps and self.place.is_finished(print):
            return self.place.product
        if state.step == 0:
            self.place.begin(state.identity)
            self.check()
        telemetry = Telemetry(self.folder, steps=config.steps, first_step=state.step, tensorboard=self.tensorboard)
        if state.step:
            telemetry.note(f"resumed at step {state.step}")
        try:
            while state.step < config.steps:
                values, seen = self.train_step()
                telemetry.record(state.step, values, tokens=seen, headline=self.headline(values))
                for alarm in values["alarms"]:
                    telemetry.note(f"alarm {alarm['name']}, step {state.step + 1}: {alarm['message']}")
                state.step += 1
                if state.step % config.checkpoint_every == 0 or state.step == config.steps:
                    telemetry.flush()
                    save_checkpoint(self.folder / "checkpoints", state.checkpoint())
        finally:
            telemetry.close()
        return self.place.finish(self.save, print)

    def move(self, loss: float, scale: float) -> float:
        """One step of the optimiser; returns the gradient norm. Without a finite loss and norm it is dropped and counted.

        Args:
            loss: of the gradients that the parameters have.
            scale: of the learning rate.

        Raises:
            ConfigError: it was the fifth in a row.
        """
        state = self.state
        norm = float(torch.nn.utils.clip_grad_norm_(state.model.parameters(), state.config.gradient_clip))
        if not (math.isfinite(norm) and math.isfinite(loss)):
            state.dropped += 1
            if state.dropped >= MAX_DROPPED:
                raise ConfigError(
                    f"the loss was not finite {state.dropped} steps in a row, the last at step {state.step + 1}; "
                    f"lower learning_rate or look at the sessions of that step; {last_good(self.folder)}, no dropped step "
                    "has changed the weights",
                    field="learning_rate",
                )
            return math.nan
        state.dropped = 0
        for group in state.optimizer.param_groups:
            group["lr"] = state.config.learning_rate * scale
        state.optimizer.step()
        return norm

    @property
    def evaluates(self) -> bool:
        """Whether held-out sessions are looked at after this step."""
        done = self.state.step + 1
        return done % self.state.config.evaluation_every == 0 or done == self.state.config.steps

    def step_alarms(self) -> list[Alarm]:
        """Those of the step itself that have begun to hold."""
        message = f"the loss or its gradient was not finite, so the step changed nothing; {MAX_DROPPED} in a row end the run"
        dropped = [Alarm(name="step_dropped", subject="loss", message=message)] if self.state.dropped else []
        return self.state.step_bell.ring(dropped)
