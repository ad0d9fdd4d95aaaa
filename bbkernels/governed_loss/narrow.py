"""`governed_loss` in training on a CPU that multiplies bfloat16 in hardware, of a bfloat16 head: products in bfloat16.

Logits are kept, rounded to bfloat16 as a bfloat16 base's own are, and the slopes of all readings are put together before they
meet the head: with the upstream gradients u, v, w of `kernel.py`, one product in the backward pass whatever is asked for, where
`blocked.py` makes one per reading in the forward pass. So 1 + 1 products without a base, 2 + 1 with one.

Beside the logits of x stands the product of the head with x - x_base, not that with x_base: rounded, its error is a share of
the difference. Under a soft cap, which bends both, it is the base's own. Whatever is not a product is float32: in the native
library a row at a time, without it and under a soft cap some rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from bbkernels.dispatch import multiplies_bfloat16, native_library
from bbkernels.governed_loss.blocked import penalties
from bbkernels.governed_loss.native import Rows
from bbkernels.governed_loss.reference import OutputHead

_KEPT = 2**24
"""Most logits that are kept: 32 MiB of them, and as much for differences from a base."""
_TILE = 2**18
"""Logits that are read at a time: 1 MiB per array."""


def takes(fused: Tensor, head: OutputHead) -> bool:
    """Whether this is a case for `governed_loss_narrow`."""
    wanted = torch.is_grad_enabled() and fused.requires_grad and fused.numel() > 0
    return wanted and multiplies_bfloat16(head.weight) and fused.shape[0] * head.weight.shape[0] <= _KEPT


def governed_loss_narrow(
    fused: Tensor, base: Tensor | None, head: OutputHead, labels: Tensor, bitmask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy, divergence and energy, float32 [N], of bfloat16 states [N, d]; every row of the head is a token."""
    out: tuple[Tensor, Tensor, Tensor] = _Narrow.apply(fused, base, head, labels, bitmask)  # type: ignore[no-untyped-call]
    return out


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, fused: Tensor, base: Tensor | None, head: OutputHead, labels: Tensor, bitmask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        raw = functional.linear(fused, head.weight, head.bias)
        apart = None
        if base is not None and head.soft_cap is None:
            apart = torch.mm(fused - base, head.weight.T)
        elif base is not None:
            apart = functional.linear(base, head.weight, head.bias)
        rows = fused.shape[0]
        cross_entropy, divergence, energy, lse_p, lse_legal = fused.new_zeros(5, rows, dtype=torch.float32)
        native = _native(raw, apart, head, labels, bitmask)
        if native is not None:
            native.read(cross_entropy, divergence, energy, lse_p, lse_legal)
        for piece in _pieces(raw) if native is None else ():
            tile = _Tile(raw[piece], None if apart is None else apart[piece], head)
            lse_p[piece] = tile.z.logsumexp(1)
            place = labels[piece].clamp(0, raw.shape[1] - 1)[:, None]
            picked = tile.z.gather(1, place)[:, 0].where(labels[piece] < raw.shape[1], -torch.inf)
            cross_entropy[piece] = (lse_p[piece] - picked).where(labels[piece] >= 0, 0.0)
            if bitmask is not None:
                legal = penalties(bitmask[piece], torch.float32)[:, : raw.shape[1]].add_(tile.z)
                lse_legal[piece] = legal.logsumexp(1)
                energy[piece] = lse_p[piece] - lse_legal[piece]
            if tile.apart is not None:
                mean = torch.linalg.vecdot(tile.probability(lse_p[piece]), tile.apart)
                divergence[piece] = mean - lse_p[piece] + torch.sub(tile.z, tile.apart).logsumexp(1)
        ctx.set_materialize_grads(False)
        ctx.head = head
        ctx.save_for_backward(raw, apart, labels, bitmask, lse_p, lse_legal)
        return cross_entropy, divergence, energy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        raw, apart, labels, bitmask, lse_p, lse_legal = ctx.saved_tensors
        head: OutputHead = ctx.head
        u, v, w = (lse_p.new_zeros(lse_p.shape) if gradient is None else gradient for gradient in gradients)
        size = raw.shape[1]
        u = u.where((labels >= 0) & (labels < size), 0.0)  # without a label, or with one that is no token, no slope
        w = w.where(lse_legal.isfinite() & (bitmask is not None), 0.0)
        asks_base, asks_mask = apart is not None and gradients[1] is not None, bitmask is not None and gradients[2] is not None
        native = _native(raw, apart if asks_base else None, head, labels, bitmask if asks_mask else None)
        slopes = torch.empty_like(raw) if native is None else native.slopes(u, v, w, lse_p, lse_legal)
        for piece in _pieces(raw) if native is None else ():
            tile = _Tile(raw[piece], apart[piece] if asks_base else None, head)
            p = tile.probability(lse_p[piece])
            if tile.apart is None:
                slope = p.mul_((u[piece] + w[piece])[:, None])
            else:
                mean = torch.linalg.vecdot(p, tile.apart)
                tile.apart.mul_(v[piece, None]).add_((u[piece] + w[piece] - v[piece] * mean)[:, None])
                slope = p.mul_(tile.apart)
            if asks_mask:
                legal = penalties(bitmask[piece], torch.float32)[:, :size].add_(tile.z)
                share = legal.sub_(lse_legal[piece, None].where(lse_legal[piece, None].isfinite(), 0.0)).exp_()
                slope.addcmul_(share, w[piece, None].expand_as(share), value=-1.0)
            slope.scatter_add_(1, labels[piece].clamp(0, size - 1)[:, None], -u[piece, None])
            slopes[piece] = slope if tile.bend is None else slope.mul_(tile.bend)
        gradient = torch.mm(slopes, head.weight)
        return gradient if head.scale == 1.0 else gradient.mul_(head.scale), None, None, None, None


def _native(raw: Tensor, apart: Tensor | None, head: OutputHead, labels: Tensor, bitmask: Tensor | None) -> Rows | None:
    """The same in the native library, where there is one; without a soft cap, which it does not know."""
    library = native_library(raw) if head.soft_cap is None else None
    return None if library is None else Rows(library, raw, apart, labels, bitmask, head.scale)


class _Tile:
    """Logits `z` [n, V] of some rows, `apart` [n, V] from the base's, and `bend` by which a soft cap multiplies slopes."""

    def __init__(self, raw: Tensor, apart: Tensor | None, head: OutputHead) -> None:
        self.bend: Tensor | None = None
        self.apart = None if apart is None else apart.float()
        if head.soft_cap is None:
            self.z = _scaled(raw, head)
            if self.apart is not None and head.scale != 1.0:
                self.apart *= head.scale
            return
        bent = _scaled(raw, head).div_(head.soft_cap).tanh_()
        self.bend, self.z = 1.0 - bent.square(), bent * head.soft_cap
        if apart is not None:
            self.apart = self.z - _scaled(apart, head).div_(head.soft_cap).tanh_().mul_(head.soft_cap)

    def probability(self, lse: Tensor) -> Tensor:
        """Softmax [n, V]."""
        return (self.z - lse[:, None]).exp_()


def _scaled(raw: Tensor, head: OutputHead) -> Tensor:
    """Logits before the soft cap, float32."""
    return raw.float() if head.scale == 1.0 else raw.float().mul_(head.scale)


def _pieces(raw: Tensor) -> list[slice]:
    step = max(1, _TILE // raw.shape[1])
    return [slice(start, start + step) for start in range(0, raw.shape[0], step)]
