"""RMSNorm in the native library: values and gradients at every level that the machine has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.native import cpu_library
from bbkernels.rms_norm import rms_norm, takes


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3, 15), (65, 37), (2, 130, 72)])
def test_every_level_agrees_with_float64(shape: tuple[int, ...], native_cpu: None) -> None:
    library = cpu_library()
    assert library is not None
    x, weight, upstream = draw(*shape), draw(shape[-1], seed=1), draw(*shape, seed=2)
    wide = [value.double().requires_grad_() for value in (x, weight)]
    right = F.rms_norm(wide[0], shape[-1:], wide[1], 1e-6)
    for_right = torch.autograd.grad(right, wide, upstream.double())
    for level in range(library.bb_cpu_level() + 1):
        own = [value.clone().requires_grad_() for value in (x, weight)]
        out = rms_norm(own[0], own[1], 1e-6, level)
        for got, expected in zip((out, *torch.autograd.grad(out, own, upstream)), (right, *for_right), strict=True):
            torch.testing.assert_close(got, expected.float(), rtol=1e-5, atol=1e-5)


def test_it_takes_what_the_library_is_made_for(native_cpu: None) -> None:
    x, weight = draw(3, 8), draw(8)
    assert takes(x, weight)
    assert not takes(x.double(), weight.double())
    assert not takes(x[:0], weight)
    with torch.no_grad():
        assert not takes(x, weight)


def test_it_gives_the_same_with_any_number_of_threads(native_cpu: None) -> None:
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            own = [draw(200, 24).requires_grad_(), draw(24, seed=1).requires_grad_()]
            results.append(torch.autograd.grad(rms_norm(own[0], own[1], 1e-6), own, draw(200, 24, seed=2)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
