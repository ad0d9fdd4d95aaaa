"""Which optimiser moves which parameter of a rail, and one step of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import Parameter

from builderbrain.rail.rail import BuilderRail
from builderbrain.train.config import TrainConfig
from builderbrain.train.muon import Muon


def build_optimizers(rail: BuilderRail, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices that carry the stream, AdamW for gates, norms, skills, routers and heads (table in LOG.md)."""
    hidden: list[Parameter] = []
    heads: list[Parameter] = []
    vectors: list[Parameter] = []
    for name, parameter in rail.named_parameters():
        if not parameter.requires_grad:
            continue
        if parameter.ndim == 2 and name.startswith(("blocks.", "enter")):
            hidden.append(parameter)
        else:
            (heads if parameter.ndim >= 2 else vectors).append(parameter)
    adam = torch.optim.AdamW(
        [{"params": heads, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.98),
    )
    if not hidden:  # skills alone are trained
        return [adam]
    return [Muon(hidden, lr=config.muon_learning_rate, weight_decay=config.weight_decay), adam]


def step_all(optimizers: Sequence[torch.optim.Optimizer], scale: float) -> None:
    """One step of each at `scale` times its own learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * scale
        optimizer.step()
