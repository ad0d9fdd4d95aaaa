"""What a run of the world model carries from step to step, and how a checkpoint keeps it.

Whatever is random at a step is drawn from (seed, step) and needs no state.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from builderbrain.train.alarms import AlarmBell
from builderbrain.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from builderbrain.train.same_run import INPUTS, KIND, WORLD_RUN, check_same_run
from builderbrain.train.world.config import WorldTrainConfig
from builderbrain.world.model import WorldModel

MODEL, OPTIMIZER = "world/", "optimizer/"
"""Prefixes of a checkpoint's tensors."""
_FREE = ("output", "device", "tensorboard", "checkpoint_every")
"""What may differ between a run and its continuation."""


class WorldRunState:
    """`step` counts completed steps, `dropped` the latest in a row without a finite loss; `data` names the sessions."""

    def __init__(self, world: WorldModel, config: WorldTrainConfig, *, data: str) -> None:
        self.world, self.config, self.data = world, config, data
        self.identity = {**self._fixed(), KIND: WORLD_RUN, INPUTS: {}}
        self.optimizer = torch.optim.AdamW(
            world.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
        )
        self.step_bell, self.reading_bell = AlarmBell(), AlarmBell()
        self.step = 0
        self.dropped = 0

    def checkpoint(self) -> Checkpoint:
        """All of it."""
        tensors = {f"{MODEL}{name}": tensor for name, tensor in self.world.state_dict().items()}
        named = self.world.named_parameters()
        tensors |= {f"{OPTIMIZER}{name}": tensor for name, tensor in optimizer_tensors(self.optimizer, named).items()}
        values: dict[str, Any] = {"config": self.identity, "dropped": self.dropped}
        values |= {"step_alarms": self.step_bell.state(), "reading_alarms": self.reading_bell.state()}
        return Checkpoint(step=self.step, tensors=tensors, values=values)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint.

        Raises:
            CheckpointError: it is of a run with another configuration or other data.
        """
        check_same_run(Path(self.config.output), self.identity, checkpoint.values["config"])
        tensors = checkpoint.tensors
        self.world.load_state_dict({k.removeprefix(MODEL): v for k, v in tensors.items() if k.startswith(MODEL)})
        moments = {k.removeprefix(OPTIMIZER): v for k, v in tensors.items() if k.startswith(OPTIMIZER)}
        restore_optimizer(self.optimizer, self.world.named_parameters(), moments)
        self.step_bell.restore(checkpoint.values["step_alarms"])
        self.reading_bell.restore(checkpoint.values["reading_alarms"])
        self.dropped = int(checkpoint.values["dropped"])
        self.step = checkpoint.step

    def _fixed(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(json.dumps(asdict(self.config)))
        for name in _FREE:
            del value[name]
        return value | {"data": self.data}
