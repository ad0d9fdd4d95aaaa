"""Skill adapters in the native library: values and gradients at every level that the machine has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bbkernels.native import cpu_library
from bbkernels.skill_adapter import skill_adapter
from bbkernels.skill_adapter.native import adapt, takes
from bbkernels.skill_adapter.reference import skill_adapter_reference


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def arguments(rows: int, skills: int, width: int, rank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    skill = torch.randint(0, skills, (rows,), generator=torch.Generator().manual_seed(3))
    return draw(rows, width), skill, draw(skills, width, rank, seed=1), draw(skills, rank, width, seed=2)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (7, 3, 15, 2), (130, 32, 72, 2), (9, 4, 37, 3)])
def test_every_level_agrees_with_float64(shape: tuple[int, int, int, int], native_cpu: None) -> None:
    library = cpu_library()
    assert library is not None
    x, skill, down, up = arguments(*shape)
    upstream = draw(*x.shape, seed=4)
    wide = [value.double().requires_grad_() for value in (x, down, up)]
    right = skill_adapter_reference(wide[0], skill, wide[1], wide[2])
    for_right = torch.autograd.grad(right, wide, upstream.double())
    for level in range(library.bb_cpu_level() + 1):
        own = [value.clone().requires_grad_() for value in (x, down, up)]
        assert takes(own[0], own[1])
        out = adapt(own[0], skill, own[1], own[2], level)
        for got, expected in zip((out, *torch.autograd.grad(out, own, upstream)), (right, *for_right), strict=True):
            torch.testing.assert_close(got, expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_skill_that_is_none_is_refused(wrong: int, native_cpu: None) -> None:
    x, skill, down, up = arguments(5, 3, 8, 2)
    skill[2] = wrong
    with pytest.raises(IndexError, match=r"expected skill in 0\.\.2"):
        skill_adapter(x, skill, down, up)
