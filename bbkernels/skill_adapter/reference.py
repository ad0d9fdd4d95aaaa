"""Specification of `skill_adapter`: `out[n] = up[k_n]^T silu(down[k_n]^T x[n])`.

The same sum in the orders that are quickest on a CPU. Skills that are small together project every row down in one product,
of which each row keeps its own skill's part and adds up that skill's rows of `up`. Otherwise rows gather the weights of their
own skill as long as the copies stay in the cache, and go from skill to skill beyond (`by_skill.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.checks import can_look
from bbkernels.skill_adapter.by_skill import adapt_by_skill, skill_adapter_by_skill

_SMALL = 128
"""Largest K * R at which one product with all skills is quicker than going from skill to skill (`benchmarks/`)."""
_GATHERED = 2**20
"""Most values of one side that are gathered: 128 rows of 512, rank 16, gain 1.2x by it, 64 of 2,048 lose 1.8x."""


def skill_adapter_reference(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """See `bbkernels.skill_adapter.skill_adapter`."""
    try:
        return _compute(x, skill, down, up)
    except (IndexError, RuntimeError):
        # Looking first would cost a tenth of a small adapter; each order complains in its own words, or of something else.
        if can_look(skill):
            expect_ids(skill, down.shape[0])
        raise


def expect_ids(skill: Tensor, skills: int) -> None:
    """Raise IndexError unless all ids lie in [0, K); looks at them."""
    for row, number in enumerate(skill.tolist()):
        if not 0 <= number < skills:
            raise IndexError(f"expected skill in 0..{skills - 1}, got {number} in row {row}")


def _compute(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    rows, (skills, width, rank) = x.shape[0], down.shape
    if rows > skills and skills * rank <= _SMALL:
        return _all_at_once(x, skill, down, up)
    if rows * width * rank <= _GATHERED:
        return _gathered(x, skill, down, up)
    return skill_adapter_by_skill(x, skill, down, up) if torch.compiler.is_compiling() else adapt_by_skill(x, skill, down, up)


def _gathered(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    hidden = torch.bmm(x[:, None], down.index_select(0, skill))
    return torch.bmm(F.silu(hidden), up.index_select(0, skill))[:, 0]


def _all_at_once(x: Tensor, skill: Tensor, down: Tensor, up: Tensor) -> Tensor:
    skills, width, rank = down.shape
    place = skill[:, None] * rank + torch.arange(rank, device=x.device)
    hidden = (x @ down.permute(1, 0, 2).reshape(width, skills * rank)).gather(1, place)
    return F.embedding_bag(place, up.reshape(skills * rank, width), mode="sum", per_sample_weights=F.silu(hidden))
