"""Gates under one global budget: how much of each base channel the builder may replace.

    alpha = min(1, a * w / mean(w)),  w = exp(share) > 0

Before the cap the mean of alpha is the budget a exactly, and the cap only lowers it: the budget is used and never
exceeded, whatever the optimiser does to `share`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from builderbrain.errors import ConfigError
from builderbrain.rail.config import RailConfig

_MAX_SHARE = 8.0
"""Bound on |share|, so that exp stays finite in float32 and one channel cannot drain all others for good."""


class Gates(nn.Module):
    """Per-channel mixing weights alpha [N, d] in [0, 1] for N taps."""

    budget: Tensor

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.zeros(config.num_taps, config.d_model))
        self.register_buffer("budget", torch.tensor(float(config.alpha_budget)))

    def forward(self) -> Tensor:
        """Alpha [N, d]; its mean is at most the budget."""
        weight = self.share.clamp(-_MAX_SHARE, _MAX_SHARE).exp()
        return (self.budget * weight / weight.mean()).clamp(max=1.0)

    def set_budget(self, budget: float) -> None:
        """Change the global budget a.

        Raises:
            ConfigError: outside [0, 1].
        """
        if not 0.0 <= budget <= 1.0:
            raise ConfigError(f"expected an alpha budget in [0, 1], got {budget}", field="alpha_budget")
        self.budget.fill_(budget)
