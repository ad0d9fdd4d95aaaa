"""Native attention of rails at every level that the machine has, judged by PyTorch's forms in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bbkernels.causal_attention import attend_memory, attend_reading, takes
from bbkernels.cross_attention.reference import cross_attention_reference, rotary_angles, rotate
from bbkernels.native import cpu_library

THETA = 10_000.0


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def levels() -> range:
    library = cpu_library()
    assert library is not None
    return range(library.bb_cpu_level() + 1)


def assert_near(got: list[Tensor], expected: list[Tensor], level: int) -> None:
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other.float(), rtol=1e-4, atol=1e-5, msg=lambda text: f"level {level}: {text}")


@pytest.mark.parametrize("tokens", [1, 7, 13, 100])
@pytest.mark.parametrize(("heads", "groups", "slots"), [(2, 2, 5), (3, 1, 0)])
def test_attention_into_latents_and_memory(tokens: int, heads: int, groups: int, slots: int, native_cpu: None) -> None:
    given = [draw(2, tokens, heads, 32), draw(2, tokens, groups, 32, seed=1), draw(2, slots, groups, 32, seed=2)]
    lengths, upstream = torch.tensor([min(3, slots), slots]), draw(2, tokens, heads, 32, seed=3)
    wide = [value.double().requires_grad_() for value in given]
    right = cross_attention_reference(*wide, lengths, offset=0, theta=THETA)
    expected = [right, *torch.autograd.grad(right, wide, upstream.double(), materialize_grads=True)]
    angles = rotary_angles(torch.arange(tokens), 16, THETA, torch.float32)
    for level in levels():
        own = [value.clone().requires_grad_() for value in given]
        assert takes(own[0], 32)
        out = attend_memory(own[0], own[1], own[2], lengths, angles, level)
        assert_near([out, *torch.autograd.grad(out, own, upstream)], expected, level)


@pytest.mark.parametrize("tokens", [1, 7, 70])
@pytest.mark.parametrize(("heads", "own"), [(2, 1), (3, 3), (3, 1)])
def test_attention_that_reads_on_from_a_place(tokens: int, heads: int, own: int, native_cpu: None) -> None:
    window, width = 5, 3 * heads * 32 + (heads - own) * 5
    given, upstream = draw(2, tokens, width), draw(2, tokens, heads, 32, seed=1)
    place = torch.randint(0, tokens + 1, (2, tokens), generator=torch.Generator().manual_seed(2))
    wide = given.double().requires_grad_()
    right = formula(wide, place, heads, own, window)
    expected = [right, *torch.autograd.grad(right, wide, upstream.double())]
    angles, reading = (rotary_angles(at, 16, THETA, torch.float32) for at in (torch.arange(tokens), place))
    for level in levels():
        mine = given.clone().requires_grad_()
        out = attend_reading(mine, place, angles, reading, own=own, window=window, level=level)
        assert_near([out, *torch.autograd.grad(out, mine, upstream)], expected, level)


def formula(projected: Tensor, place: Tensor, heads: int, own: int, window: int) -> Tensor:
    tokens = projected.shape[1]
    query, key, value = projected[..., : 3 * heads * 32].unflatten(-1, (3, heads, 32)).unbind(2)
    bias = projected[..., 3 * heads * 32 :].unflatten(-1, (heads - own, window)).transpose(1, 2)
    positions = torch.arange(tokens)
    query = torch.cat([rotate(query[:, :, :own], positions, THETA), rotate(query[:, :, own:], place, THETA)], 2)
    scores = (query.transpose(1, 2) @ rotate(key, positions, THETA).permute(0, 2, 3, 1)) * 32**-0.5
    ahead = positions - place[..., None]
    known = (ahead >= 0) & (ahead < window)
    index = ahead.clamp(0, window - 1)[:, None].expand(-1, heads - own, -1, -1)
    scores = torch.cat([scores[:, :own], scores[:, own:] + bias.gather(-1, index) * known[:, None]], 1)
    scores = scores.masked_fill(positions > positions[:, None], -torch.inf)
    return (scores.softmax(-1) @ value.transpose(1, 2)).transpose(1, 2)


def test_it_gives_the_same_with_any_number_of_threads_and_tokens(native_cpu: None) -> None:
    before, results = torch.get_num_threads(), []
    given, lengths = [draw(3, 40, 4, 32), draw(3, 40, 2, 32, seed=1), draw(3, 4, 2, 32, seed=2)], torch.tensor([0, 2, 4])
    angles = rotary_angles(torch.arange(40), 16, THETA, torch.float32)
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            own = [value.clone().requires_grad_() for value in given]
            out = attend_memory(own[0], own[1], own[2], lengths, angles)
            results.append([out, *torch.autograd.grad(out, own, draw(3, 40, 4, 32, seed=3))])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
    shorter = attend_memory(given[0][:, :21], given[1][:, :21], given[2], lengths, angles)
    assert torch.equal(shorter, results[0][0][:, :21])
