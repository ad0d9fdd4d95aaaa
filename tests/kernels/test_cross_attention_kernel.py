"""The Triton kernels of cross-attention against the reference in float64, values and gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from torch import Tensor

from bbkernels.cross_attention import cross_attention, packed_cross_attention
from bbkernels.cross_attention.reference import cross_attention_reference, packed_cross_attention_reference
from tests.kernels.conftest import DTYPES, assert_within_budget

pytestmark = pytest.mark.usefixtures("interpreted")
SHAPES = [(1, 1, 0, 1, 1, 2, 0), (2, 5, 3, 2, 1, 6, 2), (1, 37, 20, 2, 2, 32, 3)]
"""Rows, queries, offset, heads, latent heads, head size, memory tokens."""

# A line and what breaks it without leaving the arrays, which would end the interpreter.
MUTANTS = [
    ("out1 = tl.dot(p.to(z1.dtype), z1, out1 * shrink[:, None],", "out1 = tl.dot(p.to(z1.dtype), z1, out1,"),
    ("total = total * shrink + tl.sum(p, 1)", "total = total + tl.sum(p, 1)"),
    ("scores = tl.where(place[None, :] <= (offset + index)[:, None],",
     "scores = tl.where(place[None, :] < (offset + index)[:, None] + 2,"),
    ("k1, k2 = _keys(z1, z2, start,", "k1, k2 = _keys(z1, z2, 0,"),
    ("memories = memory + row.to(tl.int64) * memory_row_stride", "memories = memory"),
    ("latents = latent + head // group * latent_head_stride", "latents = latent"),
    ("largest + tl.log2(total)", "largest"),
    ("slope = (p * (_product(g1, g2, z1, z2) - d[:, None]))", "slope = (p * _product(g1, g2, z1, z2))"),
    ("to_q1, to_q2 = turned(to_q1 * natural, to_q2 * natural, cos, -sin)",
     "to_q1, to_q2 = turned(to_q1 * natural, to_q2 * natural, cos, sin)"),
    ("position = place * 0", "position = place"),
    ("for member in range(group):", "for member in range(1):"),
    ("to_z1, to_z2 = to_z1 + to_k1, to_z2 + to_k2", "to_z1, to_z2 = to_k1, to_z2 + to_k2"),
]  # fmt: skip


def draw(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(shapes[0][0])
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def compare(attend, reference, gradient: Tensor, *leaves: Tensor) -> None:  # type: ignore[no-untyped-def]
    """Values, then gradients, of the kernels against the reference in float64."""
    runs = []
    for function, kind in ((attend, leaves[0].dtype), (reference, leaves[0].dtype), (reference, torch.float64)):
        held = [leaf.detach().to(kind).requires_grad_() for leaf in leaves]
        runs.append((function(*held), held))
    assert_within_budget("out", *(out.detach() for out, _ in runs))
    for out, _ in runs:
        out.backward(gradient.to(out.dtype))
    for name, *grads in zip(("query", "latent", "memory"), *([leaf.grad for leaf in held] for _, held in runs), strict=True):
        assert_within_budget(f"grad {name}", *grads)


def compare_padded(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    rows, queries, offset, heads, groups, size, slots = shape
    query, gradient, latent, memory = draw(
        (rows, queries, heads, size), (rows, queries, heads, size), (rows, offset + queries, groups, size),
        (rows, slots, groups, size), dtype=dtype,
    )  # fmt: skip
    lengths = torch.tensor([slots, slots // 2][:rows])
    compare(
        lambda q, z, m: cross_attention(q, z, m, lengths, offset=offset),
        lambda q, z, m: cross_attention_reference(q, z, m, lengths, offset=offset, theta=10_000.0),
        gradient, query, latent, memory,
    )  # fmt: skip


def compare_packed() -> None:
    """Rows of 1, 0 and 35 queries, the last with 40 latents; grouped heads, memory of several lengths."""
    query, gradient, latent, memory = draw((36, 4, 8), (36, 4, 8), (42, 2, 8), (3, 3, 2, 8))
    lengths = torch.tensor([3, 1, 2])
    starts = torch.tensor([0, 1, 1, 36], dtype=torch.int32), torch.tensor([0, 1, 2, 42], dtype=torch.int32)
    compare(
        lambda q, z, m: packed_cross_attention(q, z, m, lengths, *starts, max_queries=35, max_keys=50),
        lambda q, z, m: packed_cross_attention_reference(
            q, z, m, lengths, *starts, max_queries=35, max_keys=50, theta=10_000.0
        ),
        gradient, query, latent, memory,
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_those_of_the_reference(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    compare_padded(shape, dtype)


def test_packed_rows_are_attended_as_each_alone() -> None:
    compare_packed()


@pytest.mark.parametrize(("line", "wrong"), MUTANTS)
def test_a_broken_kernel_is_caught(line: str, wrong: str, mutate: Callable[[str, str, str], None]) -> None:
    mutate("cross_attention", line, wrong)
    with pytest.raises(AssertionError, match="error"):
        compare_packed()


turns: Any = None
"""The device function, for the kernel below; a test sets it, because it is defined anew for every test."""


def read_turns(x, y):  # type: ignore[no-untyped-def]
    i = tl.arange(0, 2048)
    cos, sin = turns(tl.load(x + i))
    tl.store(y + i, cos)
    tl.store(y + 2048 + i, sin)


def test_cosines_and_sines_are_those_of_float32_at_all_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    from bbkernels.rotary import kernel

    monkeypatch.setattr(sys.modules[__name__], "turns", kernel.turns)
    angle = torch.cat([torch.linspace(-8, 8, 999), torch.logspace(0, 5, 1049)])
    found = torch.empty(2, 2048)
    triton.jit(read_turns)[(1,)](angle, found)
    torch.testing.assert_close(found.double(), torch.stack([angle.double().cos(), angle.double().sin()]), rtol=0, atol=2e-7)


def test_memory_that_is_not_real_is_never_read_and_has_no_gradient() -> None:
    query, latent, memory = draw((1, 4, 2, 4), (1, 4, 1, 4), (1, 3, 1, 4))
    expected = cross_attention(query, latent, memory[:, :1], torch.tensor([1]))
    memory[:, 1:] = torch.nan
    leaves = [value.requires_grad_() for value in (query, latent, memory)]
    out = cross_attention(*leaves, torch.tensor([1]))
    torch.testing.assert_close(out, expected)
    out.sum().backward()
    for leaf in leaves:
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
    assert memory.grad is not None
    assert not memory.grad[:, 1:].any()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_and_infinity_stay_in_their_row_and_head() -> None:
    query, latent, memory = draw((2, 3, 2, 4), (2, 3, 2, 4), (2, 1, 2, 4))
    clean = cross_attention(query, latent, memory, torch.tensor([1, 1]))
    query[0, 1, 0, 0], latent[1, 0, 1, 2] = torch.inf, torch.nan
    out = cross_attention(query, latent, memory, torch.tensor([1, 1]))
    assert torch.equal(out[0, ::2], clean[0, ::2])
    assert torch.equal(out[0, 1, 1], clean[0, 1, 1])
    assert torch.equal(out[1, :, 0], clean[1, :, 0])
    assert not out[0, 1, 0].isfinite().any()
    assert out[1, :, 1].isnan().all()


def test_vectors_with_gaps_are_read_where_they_are() -> None:
    query, gradient, latent, memory = draw((1, 6, 4, 8), (1, 6, 4, 8), (1, 6, 4, 8), (2, 3, 4, 8))
    lengths = torch.tensor([2])
    compare(
        lambda q, z, m: cross_attention(q[:, :, ::2], z[..., ::2, :], m[:1, ::2, :2], lengths),
        lambda q, z, m: cross_attention_reference(
            q[:, :, ::2], z[..., ::2, :], m[:1, ::2, :2], lengths, offset=0, theta=10_000.0
        ),
        gradient[:, :, ::2], query, latent, memory,
    )  # fmt: skip
    apart = [x.transpose(-1, -2).contiguous().transpose(-1, -2) for x in (query, latent, memory[:1])]
    assert torch.equal(cross_attention(*apart, lengths), cross_attention(query, latent, memory[:1], lengths))


def test_without_queries_there_is_nothing_to_do() -> None:
    leaves = [torch.ones(shape, requires_grad=True) for shape in ((2, 0, 2, 4), (2, 3, 1, 4), (2, 1, 1, 4))]
    cross_attention(*leaves, torch.tensor([1, 1]), offset=3).sum().backward()
    for leaf in leaves:
        assert leaf.grad is not None
        assert not leaf.grad.any()


def test_wrong_arguments_are_named() -> None:
    query, latent, memory = draw((2, 2, 4), (3, 2, 4), (1, 1, 2, 4))
    starts = torch.tensor([0, 2]), torch.tensor([0, 3])
    with pytest.raises(ValueError, match="query_starts as int32"):
        packed_cross_attention(query, latent, memory, torch.tensor([1]), *starts, max_queries=2, max_keys=3)
    with pytest.raises(ValueError, match="even head size"):
        cross_attention(query[None, ..., :3], latent[None, :2, :, :3], memory[..., :3], torch.tensor([1]))
    with pytest.raises(ValueError, match=r"memory in the dtype of query torch\.float32"):
        cross_attention(query[None], latent[None, :2], memory.half(), torch.tensor([1]))
    with pytest.raises(ValueError, match=r"memory_lengths as int64 \[1\]"):
        cross_attention(query[None], latent[None, :2], memory, torch.tensor([1, 1]))


def test_the_operators_are_registered_as_pytorch_wants_them() -> None:
    query, gradient, latent, memory = draw((3, 2, 4), (3, 2, 4), (4, 1, 4), (1, 1, 1, 4))
    ragged = torch.tensor([1]), torch.tensor([0, 3], dtype=torch.int32), torch.tensor([0, 4], dtype=torch.int32)
    operators = torch.ops.bbkernels
    out, mass = operators.cross_attention(query, latent, memory, *ragged, 3, 4, 10_000.0)
    held = (gradient, query, latent, memory, *ragged, out, mass, 3, 4, 10_000.0)
    torch.library.opcheck(operators.cross_attention_backward.default, held)
    leaves = [value.requires_grad_() for value in (query, latent, memory)]
    torch.library.opcheck(operators.cross_attention.default, (*leaves, *ragged, 3, 4, 10_000.0))


def test_a_graph_is_captured_whole() -> None:
    leaves = [value.requires_grad_() for value in draw((1, 3, 2, 4), (1, 3, 1, 4), (1, 1, 1, 4))]
    compiled = torch.compile(cross_attention, fullgraph=True, backend="eager")
    expected = torch.autograd.grad(cross_attention(*leaves, torch.tensor([1])).square().sum(), leaves)
    found = torch.autograd.grad(compiled(*leaves, torch.tensor([1])).square().sum(), leaves)
    for one, two in zip(found, expected, strict=True):
        assert torch.equal(one, two)
