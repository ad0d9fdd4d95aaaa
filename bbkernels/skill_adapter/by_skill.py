"""`skill_adapter` on a CPU from skill to skill, and the same as an operator for captured graphs.

How the work is cut depends on how many rows a skill has, which a compiler cannot know; outside a graph the operator's dispatch
would cost up to a fifth.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.dispatch import differentiable_once


def adapt_by_skill(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """See `bbkernels.skill_adapter.skill_adapter`."""
    order, counts = _groups(skill, down.shape[0])
    weights = [(d, u) for d, u, count in zip(down.unbind(), up.unbind(), counts, strict=True) if count]
    chosen = [rows for rows in order.split(counts) if rows.shape[0]]
    if torch.is_grad_enabled():  # one gradient of x for all skills
        groups = zip(x[order].split([rows.shape[0] for rows in chosen]), weights, strict=True)
        return torch.cat([F.silu(rows @ d) @ u for rows, (d, u) in groups]).index_select(0, order.argsort())
    out = torch.empty_like(x)
    for rows, (d, u) in zip(chosen, weights, strict=True):
        out.index_copy_(0, rows, F.silu(x.index_select(0, rows) @ d) @ u)
    return out


def _groups(skill: Tensor, skills: int) -> tuple[Tensor, list[int]]:
    """Rows in the order of skills, and how many each skill has."""
    counts = skill.bincount(minlength=skills).tolist()
    if len(counts) > skills:
        raise IndexError(f"expected skill in 0..{skills - 1}, got {len(counts) - 1}")
    return skill.argsort(stable=True), counts


@torch.library.custom_op("bbkernels::skill_adapter_by_skill", mutates_args=())
def skill_adapter_by_skill(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """`adapt_by_skill` as one node of a graph."""
    with torch.no_grad():
        return adapt_by_skill(x.contiguous(), skill, down, up)


@skill_adapter_by_skill.register_fake
def _(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("bbkernels::skill_adapter_by_skill_backward", mutates_args=())
def _backward(gradient: Tensor, x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    order, counts = _groups(skill, down.shape[0])
    grad_x = x.new_empty(x.shape)
    grad_down, grad_up = down.new_zeros(down.shape), up.new_zeros(up.shape)
    for k, rows in enumerate(order.split(counts)):
        if rows.shape[0]:
            inner, of_out = x.index_select(0, rows), gradient.index_select(0, rows)
            hidden = inner @ down[k]
            torch.mm(F.silu(hidden).T, of_out, out=grad_up[k])
            of_hidden = torch.ops.aten.silu_backward(of_out @ up[k].T, hidden)
            torch.mm(inner.T, of_hidden, out=grad_down[k])
            grad_x.index_copy_(0, rows, of_hidden @ down[k].T)
    return grad_x, grad_down, grad_up


@_backward.register_fake
def _(gradient: Tensor, x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), down.new_empty(down.shape), up.new_empty(up.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(context: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor, Tensor]:
    grad_x, grad_down, grad_up = _backward(gradient, *context.saved_tensors)
    return grad_x, None, grad_down, grad_up


differentiable_once(_backward, "skill_adapter")
skill_adapter_by_skill.register_autograd(_differentiate, setup_context=_keep)
