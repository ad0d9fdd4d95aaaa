"""Self-attention as one node is the same attention as through PyTorch's own, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.cross_attention.reference import rotate, turn
from builderbrain.rail.cache import BlockCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.places import Places
from builderbrain.rail.self_attention import SelfAttention

CONFIG = RailConfig(
    base_name="toy", d_model=16, vocab_size=32, tap_points=(0,), width=12, head_size=6, self_heads=2, reading_heads=1,
    reading_window=3,
)  # fmt: skip


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def attention() -> SelfAttention:
    torch.manual_seed(0)
    made = SelfAttention(CONFIG).double()
    torch.nn.init.normal_(made.follow.weight)
    return made


def places_of(place: Tensor, offset: int = 0) -> Places:
    return Places.of(place, offset=offset, window=3, head_size=6, theta=10_000.0, like=draw(1))


def plainly(module: SelfAttention, x: Tensor, place: Tensor) -> Tensor:
    """The formula, one query at a time."""
    normed = module.norm(x)
    query, key, value = module.query_key_value(normed).unflatten(-1, (3, -1, 6)).unbind(2)
    follow = module.follow(normed)
    positions = torch.arange(x.shape[1])
    key = rotate(key, positions, 10_000.0)
    rows = []
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            heads = []
            for h in range(3):
                at = place[b, t] if h == 2 else positions[t]
                turned = rotate(query[b : b + 1, t : t + 1, h : h + 1], at[None], 10_000.0)[0, 0, 0]
                scores = key[b, : t + 1, h] @ turned / 6**0.5
                if h == 2:
                    ahead = torch.arange(t + 1) - place[b, t]
                    scores = scores + torch.where((ahead >= 0) & (ahead < 3), follow[b, t, ahead.clamp(0, 2)], 0.0)
                heads.append(scores.softmax(0) @ value[b, : t + 1, h])
            rows.append(torch.cat(heads))
    return module.output(torch.stack(rows).view(*x.shape[:2], -1))


def test_it_is_the_formula_with_the_same_gradients() -> None:
    module, x, place = attention(), draw(2, 5, 12).requires_grad_(), torch.tensor([[0, 0, 1, 3, 5], [0, 1, 2, 2, 1]])
    upstream, inputs = draw(2, 5, 12, seed=1), [x, *module.parameters()]
    found = []
    for out in (module(x, places_of(place), cache=None), plainly(module, x, place)):
        found.append((out, *torch.autograd.grad(out, inputs, upstream)))
    for got, expected in zip(*found, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("first", [1, 4])
def test_a_cache_gives_the_same_in_two_steps(first: int) -> None:
    module, x, place = attention(), draw(2, 6, 12), torch.tensor([[0, 0, 1, 3, 5, 6], [0, 1, 2, 2, 1, 4]])
    with torch.no_grad():
        whole = module(x, places_of(place), cache=None)
        cache = BlockCache()
        steps = [
            module(x[:, :first], places_of(place[:, :first]), cache=cache),
            module(x[:, first:], places_of(place[:, first:], first), cache=cache),
        ]
    torch.testing.assert_close(torch.cat(steps, 1), whole)


def test_a_turn_is_a_rotation_and_its_gradient_the_one_back() -> None:
    x, angle = draw(2, 4, 3, 6).requires_grad_(), draw(4, 1, 3, seed=1)
    cos, sin = angle.cos(), angle.sin()
    first, second = x.chunk(2, -1)
    torch.testing.assert_close(turn(x, cos, sin), torch.cat([first * cos - second * sin, second * cos + first * sin], -1))
    assert torch.autograd.gradcheck(lambda value: turn(value, cos, sin), x)
    assert torch.autograd.gradgradcheck(lambda value: turn(value, cos, sin), x)
    torch.testing.assert_close(turn(turn(x, cos, sin), cos, -sin), x)
    assert F.mse_loss(turn(x, cos, sin).norm(dim=-1), x.norm(dim=-1)) < 1e-20
