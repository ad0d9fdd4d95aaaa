"""What a run of the chain head carries from step to step, and how a checkpoint keeps it.

Whatever is random at a step is drawn from (seed, step) and needs no state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from builderbrain.rail.chain_head import ChainHead
from builderbrain.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from builderbrain.train.same_run import CHAIN_RUN, INPUTS, KIND, check_same_run
from builderbrain.train.tool_graph.chain_config import ChainTrainConfig

MODEL, OPTIMIZER = "chain/", "optimizer/"
"""Prefixes of a checkpoint's tensors."""
_FREE = ("output", "device", "tensorboard", "checkpoint_every")
"""What may differ between a run and its continuation."""


class ChainRunState:
    """`step` counts completed steps, `dropped` the latest in a row without a finite loss; `data` names rows and graph."""

    def __init__(
        self, head: ChainHead, config: ChainTrainConfig, *, data: str, inputs: Mapping[str, str] | None = None
    ) -> None:
        """`inputs`: sha256 of further files that the run reads, by configuration key."""
        self.head, self.config, self.data = head, config, data
        self.identity = {**self._fixed(), KIND: CHAIN_RUN, INPUTS: dict(inputs or {})}
        self.optimizer = torch.optim.AdamW(
            head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.step = 0
        self.dropped = 0

    def checkpoint(self) -> Checkpoint:
        """All of it."""
        tensors = {f"{MODEL}{name}": tensor for name, tensor in self.head.state_dict().items()}
        named = self.head.named_parameters()
        tensors |= {f"{OPTIMIZER}{name}": tensor for name, tensor in optimizer_tensors(self.optimizer, named).items()}
        return Checkpoint(step=self.step, tensors=tensors, values={"config": self.identity, "dropped": self.dropped})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint.

        Raises:
            CheckpointError: it is of a run with another configuration or other rows.
        """
        check_same_run(Path(self.config.output), self.identity, checkpoint.values["config"])
        tensors = checkpoint.tensors
        self.head.load_state_dict({k.removeprefix(MODEL): v for k, v in tensors.items() if k.startswith(MODEL)})
        moments = {k.removeprefix(OPTIMIZER): v for k, v in tensors.items() if k.startswith(OPTIMIZER)}
        restore_optimizer(self.optimizer, self.head.named_parameters(), moments)
        self.dropped = int(checkpoint.values["dropped"])
        self.step = checkpoint.step

    def _fixed(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(json.dumps(asdict(self.config)))
        for name in _FREE:
            del value[name]
        return value | {"rows and graph": self.data}
