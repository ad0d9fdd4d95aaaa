"""`governed_loss` on a CPU: blocks of rows by blocks of columns, readings and their slopes in one pass.

Sums over the vocabulary run as in `kernel.py`, with a maximum that grows. So do sums of head rows weighted by them, which are
what gradients are made of; with mean = sum_v p (z - b), per row of fused states x:

    d cross_entropy / d x = sum_v p W_v - W_label
    d divergence / d x    = sum_v p (z - b) W_v - mean sum_v p W_v
    d energy / d x        = sum_v p W_v - sum over legal v of exp(z - lse_a) W_v

(each W_v times scale and the slope of the soft cap). These [N, d] are kept, and the backward pass weighs and adds them. That is
as many products as computing the logits again (2 for the logits, 1 per sum: 5 with a mask, 4 without), but the logits'
exponentials, masks and maxima are taken once instead of twice, and a tile is still in the cache when it is multiplied.
Arithmetic is float32 (float64 for float64 heads) whatever the head's dtype, whose blocks are widened one at a time; training
on a processor that multiplies bfloat16 takes `narrow.py` for bfloat16 heads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bbkernels.dispatch import differentiable_once
from bbkernels.governed_loss.reference import OutputHead

_ROWS = 256
_WHOLE = 2**19
"""Logits up to which a block that only wants the divergence takes all columns at once, and so a product less."""
_COLUMNS = 1024  # a multiple of 32; three tiles of 1 MiB stay in the cache, and beside few tokens are little


@torch.library.custom_op("bbkernels::governed_loss_blocked", mutates_args=())
def governed_loss_blocked(
    fused: Tensor, base: Tensor | None, weight: Tensor, bias: Tensor | None, labels: Tensor, bitmask: Tensor | None,
    scale: float, soft_cap: float | None, differentiate: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Readings [N], [N], [N], and slopes [3, N, d] if `differentiate`, else [3, 0, d]."""
    head = OutputHead(weight=weight, bias=bias, scale=scale, soft_cap=soft_cap)
    cross_entropy, divergence, energy, slopes = _empty(fused, weight, differentiate)
    for start in range(0, fused.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        below, mask = (None if each is None else each[rows] for each in (base, bitmask))
        block = _RowBlock(fused[rows], below, labels[rows], mask, head)
        block.read(differentiate=differentiate)
        cross_entropy[rows], divergence[rows], energy[rows] = block.readings()
        if differentiate:
            block.slopes(slopes[:, rows])
    return cross_entropy, divergence, energy, slopes


@governed_loss_blocked.register_fake
def _(
    fused: Tensor, base: Tensor | None, weight: Tensor, bias: Tensor | None, labels: Tensor, bitmask: Tensor | None,
    scale: float, soft_cap: float | None, differentiate: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return _empty(fused, weight, differentiate)


def _empty(fused: Tensor, weight: Tensor, differentiate: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(weight.dtype, torch.float32)
    rows, width = fused.shape
    one, two, three = (torch.empty(rows, dtype=dtype, device=fused.device) for _ in range(3))
    return one, two, three, torch.empty(3, rows if differentiate else 0, width, dtype=dtype, device=fused.device)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.dtype = inputs[0].dtype
    ctx.save_for_backward(output[3])


@torch.library.custom_op("bbkernels::governed_loss_weighed", mutates_args=())
def _weigh(
    slopes: Tensor, cross_entropy: Tensor | None, divergence: Tensor | None, energy: Tensor | None, dtype: torch.dtype
) -> Tensor:
    """Slopes [3, N, d] times the gradients [N] of the readings, added up: [N, d] in `dtype`.

    An operator, because to autograd the slopes look like constants: they are numbers of the forward pass.
    """
    total = torch.zeros_like(slopes[0])
    for gradient, slope in zip((cross_entropy, divergence, energy), slopes.unbind(), strict=True):
        if gradient is not None:
            total.addcmul_(gradient[:, None], slope)
    return total.to(dtype)


@_weigh.register_fake
def _(
    slopes: Tensor, cross_entropy: Tensor | None, divergence: Tensor | None, energy: Tensor | None, dtype: torch.dtype
) -> Tensor:
    return slopes.new_empty(slopes.shape[1:], dtype=dtype)


def _differentiate(context: Any, *upstream: Tensor | None) -> tuple[Tensor | None, ...]:
    return _weigh(*context.saved_tensors, *upstream[:3], context.dtype), *(None,) * 8


differentiable_once(_weigh, "governed_loss")
governed_loss_blocked.register_autograd(_differentiate, setup_context=_keep)


class _Sum:
    """log sum exp over columns that come block by block."""

    def __init__(self, rows: int, like: Tensor) -> None:
        # Below every logit, and finite: a sum over nothing is exp(-inf - lowest) = 0, not NaN.
        self.peak = like.new_full((rows, 1), torch.finfo(like.dtype).min / 2)
        self.total = like.new_zeros(rows, 1)

    def take(self, x: Tensor) -> Tensor:
        """`x` [rows, columns] becomes exp(x - peak); returns [rows, 1] by which sums over earlier columns shrink."""
        peak = torch.maximum(self.peak, x.amax(1, keepdim=True))
        shrink = (self.peak - peak).exp_()
        self.total.mul_(shrink).add_(x.sub_(peak).exp_().sum(1, keepdim=True))
        self.peak = peak
        return shrink

    def log(self) -> Tensor:
        return self.peak + self.total.log()


class _RowBlock:
    """Running sums of a block of rows; `weighted` [3, rows, d] for the slopes, None when they are not asked for."""

    def __init__(self, fused: Tensor, base: Tensor | None, labels: Tensor, bitmask: Tensor | None, head: OutputHead) -> None:
        dtype = torch.promote_types(head.weight.dtype, torch.float32)
        self.fused, self.base = fused.to(dtype), None if base is None else base.to(dtype)
        self.labels, self.bitmask, self.head = labels, bitmask, head
        rows = fused.shape[0]
        self.p, self.q, self.legal = (_Sum(rows, self.fused) for _ in range(3))
        self.drift = self.fused.new_zeros(rows, 1)
        self.picked = self.fused.new_full((rows,), -torch.inf)
        self.bend_at_label = self.fused.new_ones(rows)
        self.weighted: Tensor | None = None
        self.only_divergence = base is not None and bitmask is None and not bool((labels >= 0).any())

    def read(self, *, differentiate: bool) -> None:
        """Go over all columns."""
        rows, vocab_size = self.fused.shape[0], self.head.weight.shape[0]
        count = 3 if self.head.soft_cap is None else 4
        whole = self.only_divergence and rows * vocab_size <= _WHOLE
        wide = vocab_size if whole else min(_COLUMNS, vocab_size)
        buffer = self.fused.new_empty(count * rows * wide)
        if differentiate:
            self.weighted = self.fused.new_zeros(3, *self.fused.shape)
        for start in range(0, vocab_size, wide):
            weight = self.head.weight[start : start + wide].to(self.fused.dtype)
            columns = weight.shape[0]
            self._take(start, weight, buffer[: count * rows * columns].view(count, rows, columns))

    def _take(self, start: int, weight: Tensor, tiles: Tensor) -> None:
        z, b, allowed = tiles[:3]
        bend = tiles[3] if self.head.soft_cap is not None else None
        if self.base is not None:
            self._logits(self.base, start, weight, b, bend)
        self._logits(self.fused, start, weight, z, bend)
        self._pick(start, z, bend)
        if self.base is not None:
            self.q.take(allowed.copy_(b))
            torch.sub(z, b, out=b)
        shrink_allowed = None
        if self.bitmask is not None:
            words = self.bitmask[:, start // 32 : (start + z.shape[1] + 31) // 32]
            shrink_allowed = self.legal.take(torch.add(z, penalties(words, z.dtype)[:, : z.shape[1]], out=allowed))
        shrink = self.p.take(z)
        if self.base is not None:
            self.drift.mul_(shrink).add_(b.mul_(z).sum(1, keepdim=True))
        if self.weighted is None:
            return
        if self.only_divergence and z.shape[1] == self.head.weight.shape[0]:
            # All columns are here, so the mean is known: its slope in one product, as sum_v p (z - b - mean) W_v.
            b.addcmul_(z, self.drift / self.p.total, value=-1.0)
            torch.mm(b if bend is None else b.mul_(bend), weight, out=self.weighted[1])
            return
        wanted = (shrink, None if self.base is None else shrink, shrink_allowed)
        for sums, tile, shrunk in zip(self.weighted, (z, b, allowed), wanted, strict=True):
            if shrunk is not None:
                sums.mul_(shrunk).addmm_(tile if bend is None else tile.mul_(bend), weight)

    def _logits(self, states: Tensor, start: int, weight: Tensor, out: Tensor, bend: Tensor | None) -> None:
        """Logits of `states`, and by what the soft cap multiplies their slopes."""
        torch.mm(states, weight.T, out=out)
        if self.head.bias is not None:
            out += self.head.bias[start : start + weight.shape[0]]
        if self.head.scale != 1.0:
            out *= self.head.scale
        if self.head.soft_cap is not None and bend is not None:
            out.div_(self.head.soft_cap).tanh_()
            torch.mul(out, out, out=bend).neg_().add_(1.0)
            out *= self.head.soft_cap

    def _pick(self, start: int, z: Tensor, bend: Tensor | None) -> None:
        columns = z.shape[1]
        inside = (self.labels >= start) & (self.labels < start + columns)
        place = (self.labels - start).clamp(0, columns - 1)[:, None]
        self.picked = torch.where(inside, z.gather(1, place)[:, 0], self.picked)
        if bend is not None:
            self.bend_at_label = torch.where(inside, bend.gather(1, place)[:, 0], self.bend_at_label)

    def readings(self) -> tuple[Tensor, Tensor, Tensor]:
        """Cross-entropy, divergence and energy [rows]."""
        lse_p, lse_q = self.p.log()[:, 0], self.q.log()[:, 0]
        cross_entropy = torch.where(self.labels >= 0, lse_p - self.picked, 0.0)
        divergence = torch.zeros_like(lse_p) if self.base is None else (self.drift / self.p.total)[:, 0] - lse_p + lse_q
        energy = torch.zeros_like(lse_p) if self.bitmask is None else lse_p - self.legal.log()[:, 0]
        return cross_entropy, divergence, energy

    def slopes(self, out: Tensor) -> None:
        """Write the gradients [3, rows, d] of the readings."""
        if self.weighted is None:
            raise ValueError("expected read(differentiate=True) before slopes")
        total = self.p.total
        of_p = self.weighted[0] / total
        labelled = (self.labels >= 0) & (self.labels < self.head.weight.shape[0])
        rows_of_head = self.head.weight[self.labels.where(labelled, 0)].to(of_p.dtype)
        out[0] = (of_p - rows_of_head * self.bend_at_label[:, None]).where(labelled[:, None], 0.0)
        out[1] = (self.weighted[1] - self.drift * of_p) / total
        # A row without a legal token has no slope: its energy is infinite wherever it goes.
        out[2] = (of_p - self.weighted[2] / self.legal.total).where(self.legal.total > 0.0, 0.0)
        out *= self.head.scale


def penalties(words: Tensor, dtype: torch.dtype) -> Tensor:
    """int32 [rows, w] to [rows, 32 w]: 0 where legal, else -inf. Byte by byte from a table: four times quicker than bits."""
    values = torch.arange(256, device=words.device)[:, None] >> torch.arange(8, device=words.device) & 1
    table = torch.zeros(256, 8, dtype=dtype, device=words.device).masked_fill_(values == 0, -torch.inf)
    numbers = (words[..., None] >> torch.arange(0, 32, 8, device=words.device, dtype=torch.int32)) & 255
    return table.index_select(0, numbers.flatten()).view(words.shape[0], -1)
