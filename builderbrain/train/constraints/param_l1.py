"""Growth: how far the builder's parameters have moved since the start of the run.

    reading = sum over parameters of |theta - theta_0| / P_0        [L1 per parameter]

P_0 is the number of parameters at the start, so that parameters born later add to the sum and do not thin it out.

Healthy: grows quickly, then slowly. Smell: sprawl. Moves in both directions count, so that nothing can be paid with what is
taken off elsewhere, and the reading grows with every parameter, not with their mean. theta_0 is not stored: it is drawn from
the seed, or read from `start`, again; a checkpoint holds its digest and refuses another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from builderbrain.errors import CheckpointError
from builderbrain.train.constraints.signals import Reads, Signals, WithoutMemory


class ParameterGrowth(WithoutMemory):
    """Mean absolute move of the rail's parameters since this object was made."""

    name = "param_l1"
    unit = "L1 per parameter"
    reads: Reads = "rows"

    def __init__(self, rail: nn.Module) -> None:
        self.rail = rail
        self.start = {name: parameter.detach().clone() for name, parameter in rail.named_parameters()}
        self.size = sum(tensor.numel() for tensor in self.start.values())

    def reading(self, signals: Signals) -> Tensor:
        """See the module."""
        moved = [
            (parameter - self.start[name]).abs().sum() if name in self.start else parameter.abs().sum()
            for name, parameter in self.rail.named_parameters()
        ]
        return torch.stack(moved).sum() / self.size

    def count(self, signals: Signals) -> int:
        """Parameters at the start."""
        return self.size

    def state(self) -> dict[str, Any]:
        """Digest of the start."""
        return {"start": self._digest()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Constraint`."""
        if state.get("start") != self._digest():
            raise CheckpointError(
                "the rail that this run started from is not the one it starts from now, so its growth cannot be told; "
                "give `start` the same rail, or choose another output folder",
                field="start",
            )

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.start.items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
