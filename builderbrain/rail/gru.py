"""A bidirectional GRU over padded rows, with the weights of an `nn.GRU` and a backward pass of its own.

Over a packed sequence autograd keeps some thirty nodes a word, each with a gradient as large as the sequence or the weights.
Here what the gradient of a word's gates has to be multiplied by is known for all words at once, and the weights' gradient is
one product at the end. With x W_i + b_i as `gates`, and of the state before it h:

    r, z = sigmoid(gates_rz + (h W + b)_rz),  n = tanh(gates_n + r * (h W + b)_n),  h' = n + z * (h - n)

GRU: Cho et al. 2014, in the variant of `nn.GRU`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_NAMES = ("weight_ih_l0", "bias_ih_l0", "weight_hh_l0", "bias_hh_l0")


def gru_both_ways(gru: nn.GRU, x: Tensor, lengths: Tensor) -> Tensor:
    """What a bidirectional one-layer `nn.GRU` makes of the first `lengths` int64 [B] of x [B, T, I]: [B, T, 2 H].

    Behind a row's length it is 0.
    """
    steps = torch.arange(x.shape[1], device=x.device)
    real = steps < lengths[:, None]
    back = (lengths[:, None] - 1 - steps).clamp(min=0)[..., None]
    ways = [[getattr(gru, name + ending) for name in _NAMES] for ending in ("", "_reverse")]
    turned = x.gather(1, back.expand(-1, -1, x.shape[2]))
    gates = [nn.functional.linear(one, way[0], way[1]) for one, way in zip((x, turned), ways, strict=True)]
    inner, bias = (torch.stack([way[at] for way in ways]) for at in (2, 3))
    states: Tensor = _Gru.apply(torch.stack(gates).permute(2, 0, 1, 3), inner, bias)  # type: ignore[no-untyped-call]
    onward, turned = states.permute(1, 2, 0, 3)  # each [B, T, H]
    return torch.cat([onward, turned.gather(1, back.expand(-1, -1, turned.shape[2]))], -1) * real[..., None]


class _Gru(torch.autograd.Function):
    """States [T, W, B, H] of W independent GRUs from `gates` [T, W, B, 3H], `inner` [W, 3H, H] and `bias` [W, 3H]."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, inner: Tensor, bias: Tensor) -> Tensor:
        steps, ways, batch, size = (*gates.shape[:3], inner.shape[2])
        state = gates.new_zeros(ways, batch, size)
        weight, bias = inner.transpose(1, 2), bias[:, None]
        switches, news, inners, states = [], [], [], [state]
        for at in range(steps):
            now = gates[at]
            said = torch.baddbmm(bias, state, weight)
            switch = (now[..., : 2 * size] + said[..., : 2 * size]).sigmoid_()
            new = torch.addcmul(now[..., 2 * size :], switch[..., :size], said[..., 2 * size :]).tanh_()
            state = torch.lerp(new, state, switch[..., size:])
            switches.append(switch)
            news.append(new)
            inners.append(said[..., 2 * size :])
            states.append(state)
        kept = torch.stack(states)
        ctx.save_for_backward(torch.stack(switches), torch.stack(news), torch.stack(inners), kept, inner)
        return kept[1:]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        switch, new, said, states, inner = ctx.saved_tensors
        size, before = new.shape[-1], states[:-1]
        reset, keep = switch[..., :size], switch[..., size:]
        # Of a unit gradient of the state: that of each gate before its nonlinearity.
        of_new = (1 - keep) * (1 - new * new)
        factors = torch.stack([of_new * said * reset * (1 - reset), (before - new) * keep * (1 - keep), of_new * reset], 3)
        of_gates, of_state = torch.empty_like(factors), torch.empty_like(new)
        onward = torch.zeros_like(new[0])
        for at in range(len(new) - 1, -1, -1):
            of_state[at] = gradients[0][at] + onward
            torch.mul(of_state[at][:, :, None], factors[at], out=of_gates[at])
            onward = torch.baddbmm(of_state[at] * keep[at], of_gates[at].flatten(2), inner)
        flat = of_gates.flatten(3)
        of_inner = torch.bmm(_by_way(flat).transpose(1, 2), _by_way(before))
        of_bias = flat.sum((0, 2))
        of_gates[..., 2, :] = of_state * of_new
        return flat, of_inner, of_bias


def _by_way(x: Tensor) -> Tensor:
    """[T, W, B, D] as [W, T * B, D]."""
    return x.transpose(0, 1).flatten(1, 2)
