"""Cross-attention against a loop in float64, and what it may and may not see."""

from __future__ import annotations

import math

import pytest
import torch

from bbkernels.cross_attention import cross_attention
from bbkernels.cross_attention.reference import rotate


def slow(query: torch.Tensor, latent: torch.Tensor, memory: torch.Tensor, lengths: list[int], offset: int) -> torch.Tensor:
    """One query, one head, one row at a time."""
    rows, queries, heads, size = query.shape
    group = heads // latent.shape[2]
    out = torch.zeros_like(query)
    keys = rotate(latent, torch.arange(latent.shape[1]), 10_000.0)
    turned = rotate(query, torch.arange(offset, offset + queries), 10_000.0)
    for b in range(rows):
        for t in range(queries):
            for h in range(heads):
                slots = memory[b, : lengths[b], h // group]
                seen = offset + t + 1
                scores = torch.cat([slots, keys[b, :seen, h // group]]) @ turned[b, t, h] / math.sqrt(size)
                out[b, t, h] = scores.softmax(0) @ torch.cat([slots, latent[b, :seen, h // group]])
    return out


@pytest.mark.parametrize(
    ("queries", "offset", "heads", "groups", "size", "slots"), [(1, 0, 1, 1, 2, 0), (5, 0, 3, 3, 4, 2), (3, 4, 4, 2, 6, 3)]
)
def test_equals_the_loop(queries: int, offset: int, heads: int, groups: int, size: int, slots: int) -> None:
    generator = torch.Generator().manual_seed(queries)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    query, latent, memory = draw(2, queries, heads, size), draw(2, offset + queries, groups, size), draw(2, slots, groups, size)
    lengths = [slots, slots // 2]
    out = cross_attention(query, latent, memory, torch.tensor(lengths), offset=offset)
    torch.testing.assert_close(out, slow(query, latent, memory, lengths, offset), rtol=1e-6, atol=1e-7)


def test_the_future_and_the_padding_of_memory_are_invisible() -> None:
    query, latent = torch.randn(1, 4, 2, 4), torch.randn(1, 4, 2, 4)
    memory = torch.randn(1, 3, 2, 4)
    clean = cross_attention(query, latent, memory, torch.tensor([1]))
    changed = latent.clone()
    changed[:, 3:] += 100.0
    other = memory.clone()
    other[:, 1:] -= 100.0
    out = cross_attention(query, changed, other, torch.tensor([1]))
    assert torch.equal(out[:, :3], clean[:, :3])


def test_wrong_shapes_are_named() -> None:
    query, latent, memory = torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 2, 4), torch.zeros(1, 0, 2, 4)
    with pytest.raises(ValueError, match="multiple of latent heads 2"):
        cross_attention(query, latent, memory, torch.tensor([0]))
    with pytest.raises(ValueError, match="expected latent with 5 places"):
        cross_attention(query[:, :, :2], latent, memory, torch.tensor([0]), offset=3)
