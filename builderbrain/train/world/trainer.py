"""Stage 2: train a world model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, TypeVar

import torch

from builderbrain.data.split import SplitConfig
from builderbrain.errors import DataError
from builderbrain.hosts.load import check_device
from builderbrain.storage import sha256_file
from builderbrain.train.boot import refuse_dead_gradients
from builderbrain.train.same_run import WORLD_RUN
from builderbrain.train.schedule import learning_rate_scale
from builderbrain.train.world.config import StageConfig, WorldTrainConfig
from builderbrain.train.world.loop import StageRun
from builderbrain.train.world.objective import world_loss
from builderbrain.train.world.run_state import RunState
from builderbrain.train.world.sequences import Sequences, load_sequences, marginal_entropy
from builderbrain.train.world.watch import read_world
from builderbrain.world.checkpoint import save_world
from builderbrain.world.model import WorldConfig, WorldModel

_JITTER = 0.02
_CHECKED_ROWS = 256
Model = TypeVar("Model", bound=torch.nn.Module)


class WorldTrainer(StageRun):
    """A run of the world model.

    Raises:
        DataError: the file of sessions cannot be read, or holds too few.
    """

    def __init__(self, config: WorldTrainConfig) -> None:
        self.config = config
        self.train, self.held_out = split_sessions(config)
        self.marginal = marginal_entropy(self.held_out)
        sizes = config.model
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            world = WorldModel(WorldConfig(width=sizes.width, groups=sizes.groups, classes=sizes.classes, hidden=sizes.hidden))
        self.world = world.to(torch.device(config.device))
        sources = {"data": sha256_file(Path(config.data))}
        super().__init__(RunState(self.world, config, kind=WORLD_RUN, sources=sources), name="world")

    def check(self) -> None:
        """Refuse dead gradients."""
        world = jittered(self.world, seed=self.config.seed)
        batch = self.train.rows(torch.arange(min(_CHECKED_ROWS, len(self.train))))
        generator = torch.Generator().manual_seed(self.config.seed)
        world_loss(world, batch, self.config.loss, generator).total.backward()
        refuse_dead_gradients(world, field="world")

    def train_step(self) -> tuple[dict[str, Any], int]:
        """One step of the optimiser on a batch of sessions."""
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
        alarms = self.step_alarms()
        if self.evaluates:
            reading = read_world(self.world, self.held_out, config.watch, marginal=self.marginal, seed=config.seed)
            values |= reading.to_json()
            alarms += state.reading_bell.ring(reading.alarms(config.watch))
        values["alarms"] = [alarm.to_json() for alarm in alarms]
        return values, int(batch.present.sum())

    def save(self, folder: Path) -> None:
        """The world model."""
        save_world(self.world, folder)

    def headline(self, values: dict[str, Any]) -> str:
        """Loss, reconstruction and KL."""
        return f"loss {values['loss']:.3f}  reconstruction {values['reconstruction']:.3f}  kl {values['kl']:.3f}"


def split_sessions(config: StageConfig) -> tuple[Sequences, Sequences]:
    """The sessions of a run for training, and those held out, on its device.

    Raises:
        DataError: there is no file, or it holds no or too few sessions.
    """
    path, device = Path(config.data), check_device(config.device)
    if not path.is_file():
        raise DataError(f"expected a file of sessions at {path}; `decisions` writes one", field="data")
    train, held_out = load_sequences(path, SplitConfig(validation=config.held_out, test=0.0))
    return train.to(device), held_out.to(device)


def jittered(model: Model, *, seed: int) -> Model:
    """A copy whose parameters are all moved a little: zero-initialised ones would hide what lies behind them."""
    moved = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in moved.parameters():
            parameter.add_(_JITTER * torch.randn(parameter.shape, generator=generator).to(parameter.device))
    return moved
