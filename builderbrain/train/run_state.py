"""What a run carries from step to step, and how a checkpoint keeps it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook
from builderbrain.train.alarms import AlarmBell
from builderbrain.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from builderbrain.train.config import TrainConfig
from builderbrain.train.conflict import Balance
from builderbrain.train.constraints import Constraint
from builderbrain.train.duals import Dual
from builderbrain.train.governed import build_constraints
from builderbrain.train.inputs import inputs_of
from builderbrain.train.lifecycle import LifeWindows
from builderbrain.train.optimizers import build_optimizers
from builderbrain.train.same_run import INPUTS, KIND, RAIL_RUN, check_same_run
from builderbrain.train.schedule import BudgetSchedule
from builderbrain.train.watch import Watch

RAIL, OPTIMIZER = "rail/", "optimizer/"
"""Prefixes of a checkpoint's tensors."""


class RunState:
    """A rail in training with everything that moves beside it.

    `step` counts completed steps, `dropped` the latest ones in a row whose loss was not finite. `memory` [M, c] holds concept
    vectors of the step before, `identity` says which run this is. Whatever is random at a step is drawn from (seed, step) and
    needs no state.
    """

    def __init__(self, rail: BuilderRail, config: TrainConfig, device: torch.device) -> None:
        self.rail, self.config = rail, config
        self.identity = {**_fixed(config), KIND: RAIL_RUN, INPUTS: inputs_of(config)}
        self.named = list(rail.named_parameters())
        self.optimizers = build_optimizers(rail, config)
        self.constraints: list[tuple[Constraint, Dual]] = build_constraints(config.constraints, rail)
        self.balance = Balance(config.conflict, rail, seed=config.seed)
        self.watch = Watch(config.watch, seed=config.seed)
        self.windows = LifeWindows(config.skills, rail.config.num_skills)
        self.bell = AlarmBell()
        self.schedule = BudgetSchedule(config.budget)
        if config.start:
            self.schedule.begin_at(float(rail.gates.budget))
        self.memory = torch.zeros(rail.config.max_memory_tokens, rail.config.width, device=device)
        self.step = 0
        self.dropped = 0

    def checkpoint(self) -> Checkpoint:
        """All of it."""
        tensors = {f"{RAIL}{name}": tensor for name, tensor in self.rail.state_dict().items()}
        for optimizer in self.optimizers:
            tensors |= {f"{OPTIMIZER}{name}": tensor for name, tensor in optimizer_tensors(optimizer, self.named).items()}
        tensors["memory"] = self.memory
        values: dict[str, Any] = {
            "config": self.identity,
            "duals": {constraint.name: dual.state() for constraint, dual in self.constraints},
            "constraints": {constraint.name: constraint.state() for constraint, _ in self.constraints},
            "balance": self.balance.state(),
            "watch": self.watch.state(),
            "skills": {"book": self.rail.book.to_json(), "windows": self.windows.state()},
            "alarms": self.bell.state(),
            "budget": self.schedule.state(),
            "dropped": self.dropped,
        }
        return Checkpoint(step=self.step, tensors=tensors, values=values)

    def information(self) -> dict[str, Any]:
        """For the manifest of the trained rail: what it came from, so that an answer can be walked back to its data."""
        identity = json.dumps(self.identity, sort_keys=True, default=str).encode()
        return {
            "step": self.step,
            "seed": self.config.seed,
            "config_sha256": hashlib.sha256(identity).hexdigest(),
            "data": {"name": self.config.data, **inputs_of(self.config)},
            "duals": {constraint.name: dual.value for constraint, dual in self.constraints},
            "libraries": {"torch": str(torch.__version__)},
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint.

        Raises:
            CheckpointError: it is of a run with another configuration, or over other data.
        """
        output = Path(self.config.output)
        advice = f"; to train a finished rail further, start={output}/rail with another output"
        check_same_run(output, self.identity, checkpoint.values["config"], advice=advice)
        tensors: Mapping[str, Tensor] = checkpoint.tensors
        self.rail.load_state_dict({k.removeprefix(RAIL): v for k, v in tensors.items() if k.startswith(RAIL)})
        state = {k.removeprefix(OPTIMIZER): v for k, v in tensors.items() if k.startswith(OPTIMIZER)}
        for optimizer in self.optimizers:
            restore_optimizer(optimizer, self.named, state)
        self.memory = tensors["memory"].to(self.memory.device)
        for constraint, dual in self.constraints:
            dual.restore(checkpoint.values["duals"][constraint.name])
            constraint.restore(checkpoint.values["constraints"][constraint.name])
        self.balance.restore(checkpoint.values["balance"])
        self.watch.restore(checkpoint.values["watch"])
        self.rail.adopt(SkillBook.from_json(checkpoint.values["skills"]["book"], self.rail.config))
        self.windows.restore(checkpoint.values["skills"]["windows"])
        self.bell.restore(checkpoint.values["alarms"])
        self.schedule.restore(checkpoint.values["budget"])
        self.dropped = int(checkpoint.values["dropped"])
        self.step = checkpoint.step


def _fixed(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON gives it back, without what may differ between a run and its continuation."""
    value: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    for name in ("output", "device", "tensorboard", "checkpoint_every", "rank_timeout"):
        del value[name]
    for name in ("memory_gib", "folder", "disk_gib"):  # where states are kept changes none of them
        del value["state_cache"][name]
    return value
