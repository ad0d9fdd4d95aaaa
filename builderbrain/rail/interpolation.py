"""Between two rails of one shape: weights on the straight way from one to the other.

A rail that was trained on changes most where it learned, and a little wherever nothing held it. Part of the way keeps most of
the first and little of the second (WiSE-FT, Wortsman et al. 2022): of a run that lowered the held-out loss from 0.0334 to
0.0256 nats and harmed 7 of the battery's 276 families, half the way has 0.0282 and harms 3 (LOG.md).
"""

from __future__ import annotations

import torch

from builderbrain.errors import ConfigError
from builderbrain.rail.rail import BuilderRail


@torch.no_grad()
def pull_back(trained: BuilderRail, start: BuilderRail, keep: float) -> None:
    """Leave of a rail's change since `start` the share `keep`, in place. What is not floating-point stays as it was trained.

    Raises:
        ConfigError: `keep` is not above 0 and at most 1, or the rails differ in shape.
    """
    if not 0.0 < keep <= 1.0:
        raise ConfigError(f"expected keep above 0 and at most 1, got {keep}; 0.5 is usual", field="keep")
    before, after = start.state_dict(), trained.state_dict()
    if {name: tensor.shape for name, tensor in before.items()} != {name: tensor.shape for name, tensor in after.items()}:
        raise ConfigError("expected rails of one shape, got two; a rail that grew has no way back to its start", field="keep")
    for name, tensor in after.items():
        if keep < 1.0 and tensor.is_floating_point():
            tensor.lerp_(before[name].to(tensor), 1.0 - keep)
