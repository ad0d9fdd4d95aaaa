"""Reading taps without keeping states of the base's width: the same values and gradients, and nothing wide kept."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bbkernels.gated_fusion import gated_fusion
from builderbrain.rail.tap_reading import norm_linear, read_fusion

EPSILON = 1e-6


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inputs(rows: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """base [2, rows, 12], x [2, rows, 4], leave [12, 4], alpha [12], read [3, 12]."""
    base, x = draw(2, rows, 12, dtype=dtype), draw(2, rows, 4, seed=1, dtype=dtype)
    leave, alpha = draw(12, 4, seed=2, dtype=dtype), draw(12, seed=3, dtype=dtype).sigmoid()
    read = draw(3, 12, seed=4, dtype=dtype)
    return base, *(value.requires_grad_() for value in (x, leave, alpha, read))


def plain(base: Tensor, x: Tensor, leave: Tensor, alpha: Tensor, read: Tensor) -> Tensor:
    return F.linear(F.rms_norm(gated_fusion(base, F.linear(x, leave), alpha), (base.shape[-1],), eps=EPSILON), read)


@pytest.mark.parametrize("rows", [1, 37, 100])
def test_reading_a_fusion_is_fusion_norm_and_product(rows: int) -> None:
    given = inputs(rows)
    mine, theirs = read_fusion(*given, EPSILON), plain(*given)
    torch.testing.assert_close(mine, theirs)
    upstream = draw(*mine.shape, seed=5)
    for got, expected in zip(
        torch.autograd.grad(mine, given[1:], upstream), torch.autograd.grad(theirs, given[1:], upstream), strict=True
    ):
        torch.testing.assert_close(got, expected)


def test_its_gradients_are_those_of_differences() -> None:
    given = inputs(3)
    assert torch.autograd.gradcheck(lambda *some: read_fusion(given[0], *some, EPSILON), given[1:])


def test_a_state_of_zero_is_read_as_zero() -> None:
    base, x, leave, alpha, read = inputs(2, torch.float32)
    out = read_fusion(torch.zeros_like(base), x * 0.0, leave, alpha, read, EPSILON)
    out.sum().backward()
    assert not out.any()
    assert leave.grad is not None
    assert leave.grad.isfinite().all()


def test_nothing_wide_is_kept_but_the_tap() -> None:
    given = inputs(50, torch.float32)
    known = {value.untyped_storage().data_ptr() for value in given}
    kept: list[int] = []

    def keep(value: Tensor) -> Tensor:
        if value.untyped_storage().data_ptr() not in known:
            kept.append(value.numel())
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        read_fusion(*given, EPSILON)
        norm_linear(given[0], nn.RMSNorm(12).requires_grad_(False), given[4])
    assert max(kept) <= 2 * 50 * 3  # [rows, c'], where a state has [rows, 12]


def test_a_norm_before_a_product_goes_into_its_matrix() -> None:
    x, weight, norm = draw(2, 5, 12), draw(3, 12, seed=1), nn.RMSNorm(12, dtype=torch.float64)
    nn.init.uniform_(norm.weight)
    torch.testing.assert_close(norm_linear(x, norm, weight), F.linear(norm(x), weight))
