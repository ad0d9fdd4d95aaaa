"""What attention may not see may hold anything: NaN and infinity there change no other row, forward or backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bbkernels.cached_attention import paged_attention, slotted_attention
from bbkernels.cross_attention import cross_attention, packed_cross_attention

NOTHING = pytest.mark.parametrize("nothing", [torch.nan, torch.inf, -torch.inf])


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def attended(function, inputs: list[Tensor], real: Tensor) -> list[Tensor]:  # type: ignore[no-untyped-def]
    """The output's real rows, and the gradients when only they count."""
    leaves = [value.clone().requires_grad_() for value in inputs]
    out = function(*leaves)
    gradient = torch.where(real, torch.ones_like(out), torch.zeros_like(out))
    return [out[real.expand_as(out)].detach(), *torch.autograd.grad(out, leaves, gradient)]


def compare(function, inputs: list[Tensor], hidden: list[Tensor], real: Tensor, nothing: float) -> None:  # type: ignore[no-untyped-def]
    """The same with `nothing` at the hidden places; hidden places have no gradient."""
    clean = attended(function, inputs, real)
    spoilt = [value.masked_fill(place, nothing) for value, place in zip(inputs, hidden, strict=True)]
    for got, expected in zip(attended(function, spoilt, real), clean, strict=True):
        torch.testing.assert_close(got, expected)
    for value, place in zip(clean[1:], hidden, strict=True):
        assert not value[place.expand_as(value)].any()


@NOTHING
@pytest.mark.parametrize("compiled", [False, True])
def test_rows_padded_at_their_end_and_memory_that_is_not_real(nothing: float, compiled: bool) -> None:
    lengths, known = torch.tensor([5, 2, 3]), torch.tensor([2, 0, 1])
    padding = (torch.arange(5) >= lengths[:, None])[..., None, None]
    unknown = (torch.arange(2) >= known[:, None])[..., None, None]
    function = torch.compile(cross_attention, fullgraph=True, backend="aot_eager") if compiled else cross_attention
    inputs = [draw(3, 5, 4, 6), draw(3, 5, 2, 6), draw(3, 2, 2, 6)]
    compare(lambda *all: function(*all, known), inputs, [padding, padding, unknown], ~padding, nothing)


@NOTHING
def test_latents_behind_a_query(nothing: float) -> None:
    later = (torch.arange(7) >= 5)[:, None, None]
    real = (torch.arange(4) < 2)[:, None, None]  # at positions 3 and 4
    inputs = [draw(1, 4, 2, 6), draw(1, 7, 1, 6), draw(1, 1, 1, 6)]
    none = torch.tensor(False)
    compare(lambda *all: cross_attention(*all, torch.tensor([1]), offset=3), inputs, [none, later, none], real, nothing)


@NOTHING
def test_packed_rows_beside_broken_ones(nothing: float) -> None:
    starts = torch.tensor([0, 3, 3, 8], dtype=torch.int32), torch.tensor([0, 5, 6, 11], dtype=torch.int32)
    known = torch.tensor([1, 2, 2])
    inputs = [draw(8, 4, 6), draw(11, 2, 6), draw(3, 2, 2, 6)]
    # The last two latents of the first row, of which only its last two queries know; and a slot of its memory.
    hidden = [torch.zeros(value.shape[:-2], dtype=torch.bool)[..., None, None] for value in inputs]
    hidden[1][3:5] = True
    hidden[2][0, 1] = True
    real = ~torch.isin(torch.arange(8), torch.tensor([1, 2]))[:, None, None]

    def packed(*all: Tensor) -> Tensor:
        return packed_cross_attention(*all, known, *starts, max_queries=5, max_keys=5)

    compare(packed, inputs, hidden, real, nothing)


@NOTHING
def test_what_lies_behind_the_end_of_a_cache(nothing: float) -> None:
    query, cache, memory = draw(2, 4, 6), draw(2, 8, 2, 6), draw(2, 3, 2, 6)
    lengths, known = torch.tensor([8, 3], dtype=torch.int32), torch.tensor([1, 3])
    pages, table = cache.view(4, 4, 2, 6), torch.tensor([[0, 1], [2, 99]], dtype=torch.int32)
    clean = slotted_attention(query, cache, lengths, memory, known)
    memory[0, 1:], cache[1, 3:] = nothing, nothing
    assert torch.equal(slotted_attention(query, cache, lengths, memory, known), clean)
    assert torch.equal(paged_attention(query, pages, table, lengths, memory, known), clean)


@pytest.mark.parametrize("broken", ["query", "latent", "memory"])
@pytest.mark.parametrize("nothing", [torch.nan, torch.inf])
def test_what_a_query_does_see_is_not_hidden(broken: str, nothing: float) -> None:
    inputs = {"query": draw(1, 4, 2, 6), "latent": draw(1, 4, 2, 6), "memory": draw(1, 1, 2, 6)}
    clean = cross_attention(**inputs, memory_lengths=torch.tensor([1]))
    inputs[broken][0, 0 if broken == "memory" else 2, 1, 3] = nothing  # of the second head alone
    out = cross_attention(**inputs, memory_lengths=torch.tensor([1]))
    lost = {"query": torch.arange(4) == 2, "latent": torch.arange(4) >= 2, "memory": torch.arange(4) >= 0}[broken]
    assert torch.equal(out[0, :, 0], clean[0, :, 0])
    torch.testing.assert_close(out[0, ~lost, 1], clean[0, ~lost, 1])
    assert not out[0, lost, 1].isfinite().all(-1).any()
