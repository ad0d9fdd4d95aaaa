"""Reading taps without keeping states of the base's width: the same values and gradients, and nothing wide kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bbkernels.gated_fusion import gated_fusion
from builderbrain.rail import tap_reading
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


@pytest.fixture
def narrow_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that multiplies bfloat16 in hardware, a few rows at a time."""
    monkeypatch.setattr(tap_reading, "multiplies_bfloat16", lambda tensor: tensor.dtype == torch.bfloat16)
    monkeypatch.setattr(tap_reading, "_ROWS", 7)
    monkeypatch.setattr(tap_reading, "_NATIVE_ROWS", 7)


def wide_inputs(seed: int) -> list[Tensor]:
    """As `inputs`, of a width at which sums matter, in float32 and with a tap in bfloat16."""
    base, x, leave = draw(2, 20, 96, seed=seed), draw(2, 20, 24, seed=seed + 1), 0.3 * draw(96, 24, seed=seed + 2)
    alpha, read = draw(96, seed=seed + 3).sigmoid(), draw(32, 96, seed=seed + 4)
    return [base.bfloat16(), *(value.float().requires_grad_() for value in (x, leave, alpha, read))]


def reading_and_gradients(
    read: Callable[..., Tensor], given: list[Tensor], dtype: torch.dtype, upstream: Tensor
) -> list[Tensor]:
    own = [value.detach().to(dtype).requires_grad_(value.requires_grad) for value in given]
    out = read(*own)
    return [out, *torch.autograd.grad(out, [value for value in own if value.requires_grad], upstream.to(out.dtype))]


@pytest.mark.usefixtures("narrow_products")
@pytest.mark.parametrize("seed", [0, 10])
def test_products_in_bfloat16_are_as_right_as_pytorchs(seed: int) -> None:
    given, upstream = wide_inputs(seed), draw(2, 20, 32, seed=seed + 5)
    base, *parts = given
    mine = read_fusion(base, *parts, EPSILON)
    mine_all = [mine, *torch.autograd.grad(mine, parts, upstream.float())]
    theirs = reading_and_gradients(plain, given, torch.bfloat16, upstream)
    right = reading_and_gradients(plain, given, torch.float64, upstream)
    for got, same, truth in zip(mine_all, theirs, right, strict=True):
        assert got.dtype == torch.float32
        assert_as_right(got, same, truth)


@pytest.mark.usefixtures("narrow_products")
def test_a_norm_before_a_product_in_bfloat16_is_as_right_as_pytorchs() -> None:
    norm = nn.RMSNorm(96)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    x, weight = draw(2, 20, 96).bfloat16().requires_grad_(), draw(32, 96, seed=1).float().requires_grad_()
    upstream = draw(2, 20, 32, seed=2)
    mine = norm_linear(x, norm, weight)
    mine_all = [mine, *torch.autograd.grad(mine, (x, weight, norm.weight), upstream.float())]

    def theirs(x: Tensor, weight: Tensor, gain: Tensor) -> Tensor:
        return F.linear(F.rms_norm(x, (96,), gain, torch.finfo(torch.float32).eps), weight)

    given = [x, weight, norm.weight]
    same, right = (reading_and_gradients(theirs, given, dtype, upstream) for dtype in (torch.bfloat16, torch.float64))
    for got, plain_one, truth in zip(mine_all, same, right, strict=True):
        assert_as_right(got, plain_one, truth)
    assert mine.dtype == mine_all[2].dtype == torch.float32
    assert mine_all[1].dtype == torch.bfloat16


def assert_as_right(got: Tensor, same: Tensor, truth: Tensor) -> None:
    """The error is at most twice that of PyTorch in bfloat16, plus what rounding one value costs."""
    error, allowed = ((value.double() - truth).abs().max() for value in (got, same))
    assert error <= 2.0 * allowed + 2e-3 * truth.abs().max()


@pytest.mark.usefixtures("narrow_products")
def test_a_bfloat16_tap_is_kept_as_it_is_and_read_in_float32_without_gradients() -> None:
    given, norm = wide_inputs(0), nn.RMSNorm(96).requires_grad_(False)
    kept: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        kept.append(value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        read_fusion(given[0], *given[1:], EPSILON)
        norm_linear(given[0], norm, given[4])
    wide = [value for value in kept if value.numel() == given[0].numel()]
    assert wide
    assert all(value.untyped_storage().data_ptr() == given[0].untyped_storage().data_ptr() for value in wide)
    with torch.no_grad():
        assert torch.equal(norm_linear(given[0], norm, given[4]), norm_linear(given[0].float(), norm, given[4]))
        assert torch.equal(read_fusion(*given, EPSILON), read_fusion(given[0].float(), *given[1:], EPSILON))
