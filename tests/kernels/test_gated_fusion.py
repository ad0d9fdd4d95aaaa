"""Gated fusion: identities that must hold bit for bit, and gradients against finite differences."""

from __future__ import annotations

import pytest
import torch

from bbkernels.gated_fusion import gated_fusion


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, 5, 33)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_zero_gates_or_no_update_give_the_base_bit_for_bit(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    base, update = (torch.randn(shape, generator=generator).to(dtype) for _ in range(2))
    alpha = torch.rand(shape[-1], generator=generator)
    assert torch.equal(gated_fusion(base, update, torch.zeros(shape[-1])), base)
    assert torch.equal(gated_fusion(base, torch.zeros_like(base), alpha), base)


def test_full_gates_give_the_proposal_at_the_length_of_the_base() -> None:
    generator = torch.Generator().manual_seed(0)
    base, update = (torch.randn(5, 17, generator=generator, dtype=torch.float64) for _ in range(2))
    out = gated_fusion(base, 100.0 * update, torch.ones(17))
    torch.testing.assert_close(out.norm(dim=-1), base.norm(dim=-1), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        torch.cosine_similarity(out, base + 100.0 * update), torch.ones(5, dtype=torch.float64), rtol=1e-9, atol=0
    )


def test_gradients_reach_update_and_gates_and_never_the_base() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    update = torch.randn(3, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    alpha = torch.rand(7, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u, a: gated_fusion(base, u, a), (update, alpha))
    tracked = base.clone().requires_grad_()
    gated_fusion(tracked, update, alpha).sum().backward()
    assert tracked.grad is None


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"update as floating \[2, 3\]"):
        gated_fusion(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(3))
    with pytest.raises(ValueError, match=r"alpha as floating \[3\]"):
        gated_fusion(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(4))
