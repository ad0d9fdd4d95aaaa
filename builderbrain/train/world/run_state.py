"""What a run of stage 2 carries from step to step, and how a checkpoint keeps it.

Whatever is random at a step is drawn from (seed, step) and needs no state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from builderbrain.train.alarms import AlarmBell
from builderbrain.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from builderbrain.train.duals import Dual
from builderbrain.train.same_run import INPUTS, KIND, check_same_run
from builderbrain.train.world.config import StageConfig

MODEL, OPTIMIZER = "model/", "optimizer/"
"""Prefixes of a checkpoint's tensors."""
_FREE = ("output", "device", "tensorboard", "checkpoint_every")
"""What may differ between a run and its continuation."""


class RunState:
    """`step` counts completed steps, `dropped` the latest in a row without a finite loss.

    Args:
        model: what is trained.
        kind: of the run, by the command that makes it.
        sources: sha256 of what it is trained on, by the key of the configuration that names the file.
        dual: the multiplier of the run's constraint, if it has one.
    """

    def __init__(
        self, model: nn.Module, config: StageConfig, *, kind: str, sources: Mapping[str, str], dual: Dual | None = None
    ) -> None:
        self.model, self.config, self.sources, self.dual = model, config, sources, dual
        self.identity = {**self._fixed(), KIND: kind, INPUTS: {}}
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98)
        )
        self.step_bell, self.reading_bell = AlarmBell(), AlarmBell()
        self.step = 0
        self.dropped = 0

    def checkpoint(self) -> Checkpoint:
        """All of it."""
        tensors = {f"{MODEL}{name}": tensor for name, tensor in self.model.state_dict().items()}
        named = self.model.named_parameters()
        tensors |= {f"{OPTIMIZER}{name}": tensor for name, tensor in optimizer_tensors(self.optimizer, named).items()}
        values: dict[str, Any] = {"config": self.identity, "dropped": self.dropped}
        values |= {"step_alarms": self.step_bell.state(), "reading_alarms": self.reading_bell.state()}
        if self.dual is not None:
            values["dual"] = self.dual.state()
        return Checkpoint(step=self.step, tensors=tensors, values=values)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint.

        Raises:
            CheckpointError: it is of a run with another configuration or other data.
        """
        check_same_run(Path(self.config.output), self.identity, checkpoint.values["config"])
        tensors = checkpoint.tensors
        self.model.load_state_dict({k.removeprefix(MODEL): v for k, v in tensors.items() if k.startswith(MODEL)})
        moments = {k.removeprefix(OPTIMIZER): v for k, v in tensors.items() if k.startswith(OPTIMIZER)}
        restore_optimizer(self.optimizer, self.model.named_parameters(), moments)
        self.step_bell.restore(checkpoint.values["step_alarms"])
        self.reading_bell.restore(checkpoint.values["reading_alarms"])
        if self.dual is not None:
            self.dual.restore(checkpoint.values["dual"])
        self.dropped = int(checkpoint.values["dropped"])
        self.step = checkpoint.step

    def _fixed(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(json.dumps(asdict(self.config)))
        for name in _FREE:
            del value[name]
        return value | dict(self.sources)
