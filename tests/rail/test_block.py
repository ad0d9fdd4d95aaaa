"""The MLP of a block, and attention's product, in bfloat16: as right as PyTorch's own in it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.native import cpu_library
from builderbrain.rail.block import GatedMLP
from builderbrain.rail.config import RailConfig
from builderbrain.rail.places import Places
from builderbrain.rail.self_attention import SelfAttention

CONFIG = RailConfig(base_name="toy", d_model=64, vocab_size=32, tap_points=(0,), width=48, self_heads=1, reading_window=4)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain(module: GatedMLP, x: Tensor) -> Tensor:
    gate, up = F.linear(F.rms_norm(x, x.shape[-1:], module.norm.weight), module.gate_up.weight).chunk(2, -1)
    return F.linear(F.silu(gate) * up, module.down.weight)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_mlp_in_bfloat16_is_as_right_as_pytorchs(seed: int) -> None:
    torch.manual_seed(seed)
    module, x, upstream = GatedMLP(CONFIG), draw(2, 30, 48, seed=seed), draw(2, 30, 48, seed=seed + 10)
    found = []
    for dtype, form in ((torch.float32, None), (torch.bfloat16, plain), (torch.float64, plain)):
        own, value = copy.deepcopy(module).to(dtype), x.to(dtype).requires_grad_()
        out = own(value, narrow=True) if form is None else form(own, value)
        assert out.dtype == dtype
        found.append([out, *torch.autograd.grad(out, [value, *own.parameters()], upstream.to(dtype))])
    for got, same, truth in zip(*found, strict=True):
        error, allowed = ((each.double() - truth).abs().max() for each in (got, same))
        assert error <= 2.0 * allowed + 2e-3 * truth.abs().max()


@pytest.mark.skipif(cpu_library() is None, reason="the native library was not built")
def test_native_attention_is_that_in_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module, x, upstream = SelfAttention(CONFIG), draw(2, 30, 48).requires_grad_(), draw(2, 30, 48, seed=1)
    torch.nn.init.normal_(module.follow.weight)
    place = torch.randint(0, 31, (2, 30), generator=torch.Generator().manual_seed(2)).minimum(torch.arange(30) + 1)
    places = Places.of(place, offset=0, window=4, head_size=32, theta=10_000.0, like=x)
    inputs = [x, *module.parameters()]

    def values(*, narrow: bool = False) -> list[Tensor]:
        out = module(x, places, cache=None, narrow=narrow)
        return [out, *torch.autograd.grad(out, inputs, upstream)]

    native, narrow = values(), values(narrow=True)
    monkeypatch.setattr("builderbrain.rail.self_attention.takes", lambda x, head_size: False)
    for got, near, expected in zip(native, narrow, values(), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
        assert (near - expected).norm() <= 0.02 * expected.norm()
