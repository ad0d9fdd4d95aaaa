"""The native form of fusion, and of the length of the norm behind it, at every level that the machine has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bbkernels.gated_fusion.native import NativeFusion
from bbkernels.gated_fusion.reference import gated_fusion_reference
from bbkernels.native import cpu_library


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("base_dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (3, 15), (65, 37), (130, 768)])
def test_every_level_agrees_with_float64(rows: int, width: int, base_dtype: torch.dtype, native_cpu: None) -> None:
    library = cpu_library()
    assert library is not None
    base, update, alpha = draw(rows, width).to(base_dtype), draw(rows, width, seed=1), draw(width, seed=2).sigmoid()
    gradient = draw(rows, width, seed=3)
    wide = update.double().requires_grad_()
    gates = alpha.double().requires_grad_()
    state = gated_fusion_reference(base.double(), wide, gates)
    scale = (state.square().mean(-1, keepdim=True) + 1e-6).rsqrt()
    # What is read of it is state times scale, so that the gradient of the state is times the scale as well.
    for_update, for_alpha = torch.autograd.grad(state * scale, (wide, gates), gradient.double())
    for level in range(library.bb_cpu_level() + 1):
        fused = NativeFusion(library, base, update, alpha, 1e-6, level)
        torch.testing.assert_close(fused.state, state.float(), msg=lambda text, level=level: f"level {level}: {text}")
        torch.testing.assert_close(fused.scale, scale.float())
        of_alpha = torch.zeros(width)
        of_update = fused.backward((gradient * fused.scale).contiguous(), of_alpha)
        torch.testing.assert_close(of_update, for_update.float(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(of_alpha, for_alpha.float(), rtol=1e-4, atol=1e-4)


def test_it_gives_the_same_with_any_number_of_threads(native_cpu: None) -> None:
    library = cpu_library()
    assert library is not None
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            fused = NativeFusion(library, draw(200, 64), draw(200, 64, seed=1), draw(64, seed=2).sigmoid(), 1e-6)
            of_alpha = torch.zeros(64)
            results.append((fused.state, fused.backward(draw(200, 64, seed=3), of_alpha), of_alpha))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
