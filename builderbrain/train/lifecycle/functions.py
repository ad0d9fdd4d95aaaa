"""What skills do, read off their outputs on recorded states: how alike they are, and one skill that does the work of several.

Adapters of one function can be written in many ways (their hidden units in any order), so weights say little. With x_b the
normed states before the adapters of block b (and before those of the proposal) and f_bk what skill k makes of them,

    cosine(j, k) = sum_b <f_bj(x_b), f_bk(x_b)> / (|f_j| |f_k|),   |f_k|^2 = sum_b <f_bk(x_b), f_bk(x_b)>

over the same tokens for all skills, whichever took them. A skill that writes nothing is like no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skills import SkillAdapters
from builderbrain.train.batch import Batch

_FIT_STEPS = 300
_FIT_RATE = 0.01


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """M tokens: the normed states [M, width] before each of `adapters_of`, and the row that answered, int64 [M]."""

    states: tuple[Tensor, ...]
    taken: Tensor


def adapters_of(rail: BuilderRail) -> list[SkillAdapters]:
    """The adapters of all blocks in order, then those of the proposal."""
    found: list[SkillAdapters] = [block.skills for block in rail.blocks]  # type: ignore[misc]
    return found if rail.proposal_skills is None else [*found, rail.proposal_skills]


@torch.no_grad()
def record_states(pair: Pair, batch: Batch, *, most: int = 512) -> Recorded:
    """Run a batch and keep at most `most` of its real tokens, evenly spread."""
    rail = pair.rail
    if rail is None:
        raise ValueError("expected a pair with a rail, got a base alone")
    states: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        states.append(output.detach())

    hooks = [adapters.norm.register_forward_hook(keep) for adapters in adapters_of(rail)]
    try:
        output = pair.forward(batch.tokens, lengths=batch.lengths)
    finally:
        for hook in hooks:
            hook.remove()
    if output.rail is None:
        raise ValueError("expected a pair with a rail, got a base alone")
    width = batch.tokens.shape[1]
    real = torch.nonzero((torch.arange(width, device=batch.tokens.device) < batch.lengths[:, None]).flatten())[:, 0]
    count = min(most, len(real))
    kept = real[torch.arange(count, device=real.device) * len(real) // count]
    return Recorded(states=tuple(state.flatten(0, 1)[kept] for state in states), taken=output.rail.choice.skill.flatten()[kept])


@torch.no_grad()
def cosines(rail: BuilderRail, recorded: Recorded) -> Tensor:
    """[K, K] on the CPU, see the module; rows of skills that write nothing are 0."""
    gram = torch.zeros(rail.config.num_skills, rail.config.num_skills, dtype=torch.float64)
    for adapters, x in zip(adapters_of(rail), recorded.states, strict=True):
        hidden = F.silu(torch.einsum("mc,kcr->kmr", x, adapters.down))
        written = torch.bmm(hidden, adapters.up).flatten(1)
        gram += (written @ written.T).double().cpu()
    length = gram.diagonal().clamp(min=0.0).sqrt()
    there = length > 1e-8
    return torch.where(there[:, None] & there, gram / (length[:, None] * length).clamp(min=1e-30), 0.0)


def fit_one_for_many(rail: BuilderRail, recorded: Recorded, sources: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
    """`down` [width, R] and `up` [R, width] per adapters that come nearest to what each source row writes at its own tokens.

    Least squares by gradient descent (Adam) from the source that took most tokens; relative to the length of what is written,
    so that every block counts alike. Adapters of `rail` are not changed.

    Raises:
        ValueError: no recorded token took any of the sources.
    """
    mine = torch.isin(recorded.taken, torch.tensor(list(sources), device=recorded.taken.device))
    taken = recorded.taken[mine]
    if not len(taken):
        raise ValueError("expected recorded tokens that took one of the skills, got none")
    best = max(sources, key=lambda row: (int((taken == row).sum()), -row))
    fitted: list[tuple[Tensor, Tensor]] = []
    for adapters, state in zip(adapters_of(rail), recorded.states, strict=True):
        x = state[mine]
        with torch.no_grad():
            hidden = F.silu(torch.einsum("mc,mcr->mr", x, adapters.down[taken]))
            wanted = torch.einsum("mr,mrc->mc", hidden, adapters.up[taken])
            scale = wanted.square().sum().clamp(min=1e-12)
        down, up = adapters.down[best].detach().clone(), adapters.up[best].detach().clone()
        down.requires_grad_()
        up.requires_grad_()
        optimizer = torch.optim.Adam([down, up], lr=_FIT_RATE)
        for _ in range(_FIT_STEPS):
            optimizer.zero_grad()
            ((F.silu(x @ down) @ up - wanted).square().sum() / scale).backward()
            optimizer.step()
        fitted.append((down.detach(), up.detach()))
    return fitted
