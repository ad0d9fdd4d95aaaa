"""Specification of `governed_loss`, over whole logits.

With p = softmax(head(x)) of the builder's state and q the same of the base's state, per row:

    cross_entropy = -log p[label]
    divergence    = sum_v p[v] (log p[v] - log q[v])
    energy        = -log sum over legal v of p[v]

This is what the tests judge by and the benchmark compares with; it holds some six arrays [N, V]. `blocked.py` (CPU) and
`kernel.py` (CUDA) compute the same without any, `narrow.py` (CPU, training in bfloat16) with one or two in bfloat16.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class GovernedLoss:
    """Per-row readings [N] in nats, at least float32; `energy` is 0 without a mask, `cross_entropy` without a label."""

    cross_entropy: Tensor
    divergence: Tensor
    energy: Tensor


def unpack_bitmask(bitmask: Tensor, vocab_size: int) -> Tensor:
    """bool [..., V] from int32 [..., ceil(V / 32)]; bit t % 32 of word t // 32 is token t."""
    bits = torch.arange(32, device=bitmask.device, dtype=torch.int32)
    return ((bitmask[..., None] >> bits) & 1).bool().flatten(-2)[..., :vocab_size]


@dataclass(frozen=True, kw_only=True)
class OutputHead:
    """A frozen head: `logits = cap(scale * (W x + bias))`, `cap(z) = soft_cap * tanh(z / soft_cap)` where one above 0 is given.

    `weight` [V, d], `bias` [V] or None. Rows of them from `vocab_size` on (None: V) are padding and no tokens: their
    probability is 0, for the builder, the base and the grammar.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    soft_cap: float | None = None
    vocab_size: int | None = None

    def logits(self, states: Tensor) -> Tensor:
        """[N, d] -> [N, vocab_size], at least float32."""
        bias = None if self.bias is None else self.bias[: self.vocab_size]
        raw = F.linear(states.to(self.weight.dtype), self.weight[: self.vocab_size], bias)
        scaled = raw.to(torch.promote_types(raw.dtype, torch.float32)) * self.scale
        return scaled if self.soft_cap is None else self.soft_cap * torch.tanh(scaled / self.soft_cap)


def governed_loss_reference(
    fused: Tensor, base: Tensor, head: OutputHead, labels: Tensor, bitmask: Tensor | None = None
) -> GovernedLoss:
    """See `bbkernels.governed_loss.governed_loss`."""
    log_p = head.logits(fused).log_softmax(-1)
    with torch.no_grad():
        log_q = head.logits(base).log_softmax(-1)
    vocab_size = log_p.shape[-1]
    picked = log_p.gather(-1, labels.clamp(0, vocab_size - 1)[:, None])[:, 0]
    cross_entropy = torch.where(labels < vocab_size, torch.where(labels >= 0, -picked, 0.0), torch.inf)
    divergence = (log_p.exp() * (log_p - log_q)).sum(-1)
    energy = torch.zeros_like(divergence)
    if bitmask is not None:
        energy = -log_p.masked_fill(~unpack_bitmask(bitmask, vocab_size), -torch.inf).logsumexp(-1)
    return GovernedLoss(cross_entropy=cross_entropy, divergence=divergence, energy=energy)
