"""Construction: the builder's state is what its skills have just written.

With z_t what the skills of all blocks wrote at token t, C_t = sum over k < 4 of z_(t-k) / 2^k their composition over the latest
tokens, and P a fixed projection onto a third of the stream's directions,

    a_t = P h_t - mean,   b_t = P C_t - mean        means over the real tokens of the part
    reading = mean over t of |a_t / |a_t| - b_t / |b_t||^2 = 2 - 2 cos(a_t, b_t)       [squared L2, 0..4]

P is drawn once from a fixed seed and learns nothing; the rest of the stream stays free for what no skill said.

Healthy: 0.1 to 1, not 0: at 0 the state says nothing that the skills did not. Smell: trivial zeros. Lengths are divided out, so
shrinking state and skills together changes nothing, and a length under 0.05 a channel is divided by that instead of itself, so
that zeros read 2, as orthogonal states do. Constant states are zeros too, once their mean is gone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from builderbrain.train.constraints.signals import Reads, Signals, WithoutMemory

_LATEST = 4
"""Tokens whose skills are composed."""
_DECAY = 0.5
_LEAST = 0.05
"""Root mean square under which a vector counts as shorter than it is."""


class Build(WithoutMemory):
    """Squared distance between direction of the state and direction of the composed skills."""

    name = "build"
    unit = "squared L2"
    reads: Reads = "rows"

    def __init__(self, width: int, device: torch.device) -> None:
        """`width` c of the stream."""
        drawn = torch.randn(width, max(1, width // 3), generator=torch.Generator().manual_seed(0))
        self.projection = torch.linalg.qr(drawn).Q.to(device)

    def reading(self, signals: Signals) -> Tensor:
        """See the module."""
        goals = signals.goals
        return build_distance(goals.stream @ self.projection, composed(goals.written) @ self.projection, goals.real)

    def count(self, signals: Signals) -> int:
        """Real tokens of the goals."""
        return int(signals.goals.real.sum())


def composed(written: Tensor) -> Tensor:
    """Causal decaying sum of [R, T, c] over the latest tokens."""
    total = written
    for back in range(1, _LATEST):
        total = total + _DECAY**back * F.pad(written, (0, 0, back, 0))[:, : written.shape[1]]
    return total


def build_distance(state: Tensor, skills: Tensor, real: Tensor) -> Tensor:
    """Mean of 2 - 2 cos over the `real` bool [R, T] tokens of two [R, T, p], see the module."""
    return (2.0 - 2.0 * (_direction(state[real]) * _direction(skills[real])).sum(-1)).mean()


def _direction(vectors: Tensor) -> Tensor:
    """[M, p] without its mean, each of length 1, or under it where it was too short."""
    centred = vectors - vectors.mean(0)
    least = _LEAST * centred.shape[-1] ** 0.5
    return centred / (centred.square().sum(-1, keepdim=True) + 1e-12).sqrt().clamp(min=least)
