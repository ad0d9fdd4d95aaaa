"""Every operation on a CPU under `torch.compile(fullgraph=True)`, at sizes that take each of its ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.cached_attention import paged_attention, slotted_attention
from bbkernels.cross_attention import cross_attention, packed_cross_attention
from bbkernels.gated_fusion import gated_fusion
from bbkernels.governed_loss import OutputHead, governed_loss
from bbkernels.masked_sample import Penalties, Truncation, masked_sample
from bbkernels.nf4_linear import mxfp4_linear, nf4_linear
from bbkernels.ragged_attention import ragged_attention
from bbkernels.skill_adapter import reference as skill_reference
from bbkernels.skill_adapter import skill_adapter
from tests.kernels.four_bit import mxfp4_weight, nf4_weight, rows_of
from tests.kernels.test_governed_loss import pack

NOTHING = torch.zeros(2, dtype=torch.int64)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def sample(logits: Tensor, truncated: bool) -> Any:
    rows, size = logits.shape
    full = torch.ones(rows)
    counts = torch.arange(rows * size, dtype=torch.int32).view(rows, size) % 3
    truncation = Truncation(min_p=0.01 * full, top_k=torch.full((rows,), 20), top_p=0.9 * full)
    penalties = Penalties(repetition=1.1 * full, presence=full, frequency=full, prompt_counts=counts, output_counts=counts)
    more = {"truncation": truncation, "penalties": penalties} if truncated else {}
    seed = torch.arange(rows)
    return masked_sample(logits, temperature=full, seed=seed, position=seed, bitmask=pack(logits > 0), **more)


def lose(fused: Tensor, base: Tensor, weight: Tensor, bitmask: Tensor | None) -> Any:
    return governed_loss(fused, base, OutputHead(weight=weight, soft_cap=5.0), torch.arange(fused.shape[0]) - 1, bitmask)


def packed(query: Tensor, latent: Tensor, memory: Tensor) -> Tensor:
    starts = torch.tensor([0, 3, 3, 8], dtype=torch.int32), torch.tensor([0, 5, 6, 11], dtype=torch.int32)
    return packed_cross_attention(query, latent, memory, torch.tensor([2, 1, 0]), *starts, max_queries=5, max_keys=7)


def adapter(rows: int, skills: int, rank: int) -> tuple[Callable[..., Any], list[Tensor]]:
    skill = (torch.arange(rows) * 5 % 7) % skills
    return lambda x, down, up: skill_adapter(x, skill, down, up), [draw(rows, 6), draw(skills, 6, rank), draw(skills, rank, 6)]


def cases() -> Iterator[tuple[str, Callable[..., Any], list[Tensor]]]:
    """Name, function, and the floating arguments that it is differentiated in where it has gradients."""
    lengths = torch.tensor([5, 2], dtype=torch.int32)
    table = torch.tensor([[1, 0], [2, 9]], dtype=torch.int32)
    yield "gated fusion", gated_fusion, [draw(3, 8), draw(3, 8), draw(8)]
    norm = draw(8)
    yield "gated fusion and norm", lambda *all: gated_fusion(*all, norm_weight=norm), [draw(3, 8), draw(3, 8), draw(8)]
    attended = [draw(2, 3, 4, 6), draw(2, 5, 2, 6), draw(2, 2, 2, 6)]
    yield "cross-attention", lambda *all: cross_attention(*all, NOTHING + 1, offset=2), attended
    yield "one query", lambda *all: cross_attention(*all, NOTHING, offset=4), [attended[0][:, :1], *attended[1:]]
    yield "packed", packed, [draw(8, 4, 6), draw(11, 2, 6), draw(3, 2, 2, 6)]
    served = draw(2, 4, 6), draw(2, 2, 2, 6)
    yield "slots", lambda cache: slotted_attention(served[0], cache, lengths, served[1], NOTHING), [draw(2, 6, 2, 6)]
    yield "pages", lambda pages: paged_attention(served[0], pages, table, lengths, served[1], NOTHING), [draw(3, 4, 2, 6)]
    starts = torch.tensor([0, 2, 3], dtype=torch.int32)
    ragged = {"table": table, "starts": starts, "lengths": lengths, "scale": 0.3, "window": 3}
    keys, values = draw(3, 4, 2, 6), draw(3, 4, 2, 6) + 1.0
    yield "many texts", lambda x: ragged_attention(x, keys, values, **ragged), [draw(3, 4, 6)]
    yield "plain draw", lambda logits: sample(logits, False), [draw(3, 70)]
    yield "penalised draw", lambda logits: sample(logits, True), [draw(3, 70)]
    bitmask = pack(draw(4, 70) > 0)
    yield "governed loss", lambda *all: lose(*all, bitmask), [draw(4, 8), draw(4, 8), draw(70, 8)]
    yield "loss without a grammar", lambda *all: lose(*all, None), [draw(4, 8), draw(4, 8), draw(70, 8)]
    nested, odd, (blocks, scales) = nf4_weight(5, 64, nested=True), nf4_weight(5, 9, nested=False), mxfp4_weight(5, 64)
    yield "few rows of NF4", lambda x: nf4_linear(x, nested), [rows_of(3, 64)]
    yield "many rows of NF4", lambda x: nf4_linear(x, nested), [rows_of(19, 64)]
    yield "odd rows of NF4", lambda x: nf4_linear(x, odd), [rows_of(3, 9)]
    yield "MXFP4", lambda x: mxfp4_linear(x, blocks, scales), [rows_of(3, 64)]
    yield "all skills at once", *adapter(9, 4, 2)
    yield "gathered skills", *adapter(3, 4, 2)
    yield "skill by skill", *adapter(9, 4, 40)


DIFFERENTIABLE = ("fusion", "cross-attention", "query", "packed", "loss", "skill")


def results(function: Callable[..., Any], inputs: list[Tensor], *, differentiable: bool) -> list[Tensor]:
    """All outputs, and gradients of the sum of their squares."""
    leaves = [value.detach().requires_grad_(differentiable) for value in inputs]
    out = function(*leaves)
    values = [out] if isinstance(out, Tensor) else list(vars(out).values())
    if not differentiable:
        return values
    found = torch.autograd.grad(sum(value.square().sum() for value in values), leaves, allow_unused=True)
    return [value.detach() for value in values] + [value for value in found if value is not None]


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`")
@pytest.mark.parametrize(("name", "function", "inputs"), cases(), ids=[name.replace(" ", "-") for name, _, _ in cases()])
def test_a_graph_is_captured_whole(
    name: str, function: Callable[..., Any], inputs: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skill_reference, "_GATHERED", 1_000)
    differentiable = any(word in name for word in DIFFERENTIABLE)
    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    expected = results(function, inputs, differentiable=differentiable)
    for got, value in zip(results(compiled, inputs, differentiable=differentiable), expected, strict=True):
        torch.testing.assert_close(got, value)
