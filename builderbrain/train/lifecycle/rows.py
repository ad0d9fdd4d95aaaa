"""The tensors of a rail that have a row for each skill: read a row, write it, forget what an optimiser knew of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from builderbrain.rail.rail import BuilderRail

ROUTES = "router.score.weight"
"""The router's tensor: its rows may be more than those of the adapters."""


def skill_tensors(rail: BuilderRail) -> dict[str, Parameter]:
    """By name, every parameter whose first dimension counts skills: router and all adapters."""
    ends = ("skills.down", "skills.up")
    return {name: tensor for name, tensor in rail.named_parameters() if name == ROUTES or name.endswith(ends)}


def read_rows(rail: BuilderRail, rows: Sequence[int]) -> dict[str, Tensor]:
    """Copies on the CPU of these rows of every such tensor, [len(rows), ...]."""
    return {name: tensor.detach()[list(rows)].cpu().clone() for name, tensor in skill_tensors(rail).items()}


@torch.no_grad()
def write_rows(rail: BuilderRail, rows: Sequence[int], values: Mapping[str, Tensor]) -> None:
    """Put back what `read_rows` gave, bit for bit."""
    for name, tensor in skill_tensors(rail).items():
        tensor[list(rows)] = values[name].to(tensor.device)


def forget_moments(rail: BuilderRail, row: int, optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Zero a row of the optimisers' moments: they were of the skill that was there before."""
    for optimizer in optimizers:
        for parameter in skill_tensors(rail).values():
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value[row] = 0.0
