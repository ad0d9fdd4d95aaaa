"""What a run of the chain head carries from step to step, and how a checkpoint keeps it.

Whatever is random at a step is drawn from (seed, step) and needs no state.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch

from builderbrain.errors import CheckpointError
from builderbrain.rail.chain_head import ChainHead
from builderbrain.train.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from builderbrain.train.tool_graph.chain_config import ChainTrainConfig

MODEL, OPTIMIZER = "chain/", "optimizer/"
"""Prefixes of a checkpoint's tensors."""
_FREE = ("output", "device", "tensorboard", "checkpoint_every")
"""What may differ between a run and its continuation."""


class ChainRunState:
    """`step` counts completed steps, `dropped` the latest in a row without a finite loss; `data` names rows and graph."""

    def __init__(self, head: ChainHead, config: ChainTrainConfig, *, data: str) -> None:
        self.head, self.config, self.data = head, config, data
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
        return Checkpoint(step=self.step, tensors=tensors, values={"config": self._fixed(), "dropped": self.dropped})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint.

        Raises:
            CheckpointError: it is of a run with another configuration or other rows.
        """
        mine, theirs = self._fixed(), checkpoint.values["config"]
        if mine != theirs:
            key = next((name for name in mine if mine[name] != theirs.get(name)), "rows and graph")
            raise CheckpointError(
                f"{self.config.output} holds a run with {key}={theirs.get(key)!r}, but this one has {mine.get(key)!r}; "
                "choose another output folder or the same configuration",
                field=key,
            )
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
