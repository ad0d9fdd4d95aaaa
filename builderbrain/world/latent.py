"""Categorical latents: probabilities with a floor, and samples with a straight-through gradient.

A latent is G groups of C classes. After DreamerV2 (Hafner et al. 2021, arXiv:2010.02193, algorithm 1) the sample is one-hot
going forward and its gradient is that of the probabilities; after DreamerV3 (Hafner et al. 2023, arXiv:2301.04104) one
percent of the mass is spread evenly, so that no log-probability is infinite.
"""

from __future__ import annotations

import torch
from torch import Tensor


def probabilities(logits: Tensor, *, uniform: float) -> Tensor:
    """(1 - uniform) softmax(logits) + uniform / C, over the last dimension."""
    return (1.0 - uniform) * logits.softmax(-1) + uniform / logits.shape[-1]


def sample_straight_through(probability: Tensor, noise: Tensor) -> Tensor:
    """A one-hot draw by inverting the cumulative distribution; its gradient is that of `probability`.

    Args:
        probability: [..., C], sums to 1.
        noise: [...], uniform in [0, 1).

    Returns:
        [..., C], exactly one-hot up to rounding.
    """
    cumulative = probability.detach().cumsum(-1)
    index = (noise.unsqueeze(-1) * cumulative[..., -1:] >= cumulative).sum(-1).clamp(max=probability.shape[-1] - 1)
    hard = torch.nn.functional.one_hot(index, probability.shape[-1]).to(probability.dtype)
    return hard + (probability - probability.detach())
