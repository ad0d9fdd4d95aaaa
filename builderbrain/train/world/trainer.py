"""Stage 2: train a world model. Resumable at any step; killed and started again it ends with the same weights."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import torch

from builderbrain.data.split import SplitConfig
from builderbrain.errors import ConfigError, DataError
from builderbrain.hosts.load import check_device
from builderbrain.storage import sha256_file
from builderbrain.train.alarms import Alarm
from builderbrain.train.boot import refuse_dead_gradients
from builderbrain.train.checkpoint import load_checkpoint, save_checkpoint
from builderbrain.train.disk import last_good
from builderbrain.train.run_folder import RunFolder
from builderbrain.train.schedule import learning_rate_scale
from builderbrain.train.step import MAX_DROPPED
from builderbrain.train.telemetry import Telemetry, wants_tensorboard
from builderbrain.train.world.config import WorldTrainConfig
from builderbrain.train.world.objective import world_loss
from builderbrain.train.world.run_state import WorldRunState
from builderbrain.train.world.sequences import load_sequences, marginal_entropy
from builderbrain.train.world.watch import read_world
from builderbrain.world.checkpoint import save_world
from builderbrain.world.model import WorldConfig, WorldModel

_JITTER = 0.02
_CHECKED_ROWS = 256


class WorldTrainer:
    """One run. `run()` goes from the last checkpoint to the end; `state` is what it has come to.

    Raises:
        DataError: the file of sessions cannot be read, or holds too few.
    """

    def __init__(self, config: WorldTrainConfig) -> None:
        self.config = config
        self.folder = Path(config.output)
        self.place = RunFolder(self.folder, "world")
        self.tensorboard = wants_tensorboard(config.tensorboard)
        device = check_device(config.device)
        path = Path(config.data)
        if not path.is_file():
            raise DataError(f"expected a file of sessions at {path}; `decisions` writes one", field="data")
        split = SplitConfig(validation=config.held_out, test=0.0)
        train, held_out = load_sequences(path, split)
        self.train, self.held_out = train.to(device), held_out.to(device)
        self.marginal = marginal_entropy(held_out)
        sizes = config.model
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            world = WorldModel(WorldConfig(width=sizes.width, groups=sizes.groups, classes=sizes.classes, hidden=sizes.hidden))
        self.state = WorldRunState(world.to(device), config, data=sha256_file(path))

    @property
    def world(self) -> WorldModel:
        """The model in training."""
        return self.state.world

    def resume(self) -> None:
        """Go on from the last checkpoint of the output folder, if there is one.

        Raises:
            CheckpointError: the folder holds a run with another configuration or other data.
        """
        checkpoint = load_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self.state.restore(checkpoint)

    def check(self) -> None:
        """One backward pass on a jittered copy.

        Raises:
            DeadGradientError: names the parameters that get no finite, non-zero gradient.
        """
        world = copy.deepcopy(self.world)
        generator = torch.Generator().manual_seed(self.config.seed)
        with torch.no_grad():
            for parameter in world.parameters():
                parameter.add_(_JITTER * torch.randn(parameter.shape, generator=generator).to(parameter.device))
        batch = self.train.rows(torch.arange(min(_CHECKED_ROWS, len(self.train))))
        world_loss(world, batch, self.config.loss, generator).total.backward()
        refuse_dead_gradients(world, field="world")

    def run(self) -> Path:
        """Check, resume, train, save; returns the folder of the trained model.

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
        state, steps = self.state, self.config.steps
        if state.step == steps and self.place.is_finished(print):
            return self.place.product
        if state.step == 0:
            self.place.begin(state.identity)
            self.check()
        telemetry = Telemetry(self.folder, steps=steps, first_step=state.step, tensorboard=self.tensorboard)
        if state.step:
            telemetry.note(f"resumed at step {state.step}")
        try:
            while state.step < steps:
                values, seen = self.train_step()
                telemetry.record(state.step, values, tokens=seen, headline=_headline(values))
                for alarm in values["alarms"]:
                    telemetry.note(f"alarm {alarm['name']}, step {state.step + 1}: {alarm['message']}")
                state.step += 1
                if state.step % self.config.checkpoint_every == 0 or state.step == steps:
                    telemetry.flush()
                    save_checkpoint(self.folder / "checkpoints", state.checkpoint())
        finally:
            telemetry.close()
        return self.place.finish(partial(save_world, self.world), print)

    def train_step(self) -> tuple[dict[str, Any], int]:
        """One step, which is not counted yet; returns what to log and the number of steps of sessions seen.

        Raises:
            ConfigError: the loss was not finite five times in a row.
        """
        config, state = self.config, self.state
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
        index = torch.randint(len(self.train), (config.batch_size,), generator=generator)
        batch = self.train.rows(index.to(self.train.actions.device))
        state.optimizer.zero_grad(set_to_none=True)
        loss = world_loss(self.world, batch, config.loss, generator)
        loss.total.backward()
        scale = learning_rate_scale(state.step, steps=config.steps, warmup_fraction=config.warmup_fraction)
        norm = self.move(float(loss.total.detach()), scale)
        values: dict[str, Any] = {
            "loss": float(loss.total.detach()),
            **{name: float(term.detach()) for name, term in loss.terms.items()},
            "gradient_norm": norm,
            "learning_rate": config.learning_rate * scale,
            "dropped_steps": state.dropped,
        }
        alarms = state.step_bell.ring(self._alarms())
        if (state.step + 1) % config.evaluation_every == 0 or state.step + 1 == config.steps:
            reading = read_world(self.world, self.held_out, config.watch, marginal=self.marginal, seed=config.seed)
            values |= reading.to_json()
            alarms += state.reading_bell.ring(reading.alarms(config.watch))
        values["alarms"] = [alarm.to_json() for alarm in alarms]
        return values, int(batch.present.sum())

    def move(self, loss: float, scale: float) -> float:
        """One step of the optimiser; returns the gradient norm. Without a finite loss and norm it is dropped and counted.

        Raises:
            ConfigError: it was the fifth in a row.
        """
        state = self.state
        norm = float(torch.nn.utils.clip_grad_norm_(self.world.parameters(), self.config.gradient_clip))
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
            group["lr"] = self.config.learning_rate * scale
        state.optimizer.step()
        return norm

    def _alarms(self) -> list[Alarm]:
        if not self.state.dropped:
            return []
        message = f"the loss or its gradient was not finite, so the step changed nothing; {MAX_DROPPED} in a row end the run"
        return [Alarm(name="step_dropped", subject="loss", message=message)]


def _headline(values: dict[str, Any]) -> str:
    return f"loss {values['loss']:.3f}  reconstruction {values['reconstruction']:.3f}  kl {values['kl']:.3f}"
