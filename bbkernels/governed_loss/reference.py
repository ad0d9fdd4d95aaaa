"""Specification of `governed_loss`.

With p = softmax(head(x)) of the builder's state and q the same of the base's state, per row:

    cross_entropy = -log p[label]
    divergence    = sum_v p[v] (log p[v] - log q[v])
    energy        = -log sum over legal v of p[v]

Rows are taken in chunks, each recomputed in the backward pass, so that no [N, V] array outlives its chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, kw_only=True)
class GovernedLoss:
    """Per-row readings in nats, float32 [N]; `energy` is 0 where no mask was given, `cross_entropy` where no label was."""

    cross_entropy: Tensor
    divergence: Tensor
    energy: Tensor


def unpack_bitmask(bitmask: Tensor, vocab_size: int) -> Tensor:
    """bool [..., V] from int32 [..., ceil(V / 32)]; bit t % 32 of word t // 32 is token t."""
    bits = torch.arange(32, device=bitmask.device, dtype=torch.int32)
    return ((bitmask[..., None] >> bits) & 1).bool().flatten(-2)[..., :vocab_size]


@dataclass(frozen=True, kw_only=True)
class OutputHead:
    """A frozen head: `logits = cap(scale * (W x + bias))`, `cap(z) = soft_cap * tanh(z / soft_cap)` where one is given.

    `weight` [V, d], `bias` [V] or None.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    soft_cap: float | None = None

    def logits(self, states: Tensor) -> Tensor:
        """[N, d] -> [N, V], at least float32."""
        raw = F.linear(states.to(self.weight.dtype), self.weight, self.bias)
        scaled = raw.to(torch.promote_types(raw.dtype, torch.float32)) * self.scale
        return scaled if self.soft_cap is None else self.soft_cap * torch.tanh(scaled / self.soft_cap)


def _chunk(
    fused: Tensor, base: Tensor, head: OutputHead, labels: Tensor, bitmask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    log_p = head.logits(fused).log_softmax(-1)
    with torch.no_grad():
        log_q = head.logits(base).log_softmax(-1)
    labelled = labels >= 0
    picked = log_p.gather(-1, labels.clamp(min=0)[:, None])[:, 0]
    cross_entropy = torch.where(labelled, -picked, 0.0)
    divergence = (log_p.exp() * (log_p - log_q)).sum(-1)
    if bitmask is None:
        return cross_entropy, divergence, torch.zeros_like(divergence)
    legal = unpack_bitmask(bitmask, head.weight.shape[0])
    energy = -log_p.masked_fill(~legal, -torch.inf).logsumexp(-1)
    return cross_entropy, divergence, energy


def governed_loss_reference(
    fused: Tensor,
    base: Tensor,
    head: OutputHead,
    labels: Tensor,
    bitmask: Tensor | None,
    *,
    chunk_rows: int,
) -> GovernedLoss:
    """See `bbkernels.governed_loss.governed_loss`."""
    parts = []
    for start in range(0, max(1, fused.shape[0]), chunk_rows):
        rows = slice(start, start + chunk_rows)
        mask = None if bitmask is None else bitmask[rows]
        arguments = (fused[rows], base[rows], head, labels[rows], mask)
        whole = fused.shape[0] <= chunk_rows
        parts.append(_chunk(*arguments) if whole else checkpoint(_chunk, *arguments, use_reentrant=False))
    cross_entropy, divergence, energy = (torch.cat(part) for part in zip(*parts, strict=True))
    return GovernedLoss(cross_entropy=cross_entropy, divergence=divergence, energy=energy)
