"""Public entries of `cross_attention`: checks, operators, autograd, launches."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from bbkernels.causal_attention import attend_memory, takes
from bbkernels.checks import FLOATING, INT32, INT64, can_look, expect_number, expect_same_dtype, expect_tensor, expect_values
from bbkernels.cross_attention.launch import (
    MAX_SIZE,
    Tiles,
    architecture_of,
    forward_tiles,
    kept_frequencies,
    latent_tiles,
    product_type,
    query_tiles,
)
from bbkernels.cross_attention.reference import (
    cross_attention_reference,
    is_finite,
    kept_angles,
    packed_cross_attention_reference,
)
from bbkernels.dispatch import differentiable_once, launches_kernels, operator


def cross_attention(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, *, offset: int = 0, theta: float = 10_000.0
) -> Tensor:
    """Attend causally from builder positions into base states, and freely into memory tokens.

    `softmax(rot(q) [m; rot(z)]^T / sqrt(D)) [m; z]`, with latent z, memory m, query i seeing keys 0..offset+i.

    Args:
        query: floating [B, T, H, D], D even, queries at positions offset .. offset + T - 1.
        latent: [B, S, G, D] with H a multiple of G and S = offset + T; shared by keys and values.
        memory: [B, M, G, D]; M may be 0.
        memory_lengths: int64 [B], how many memory tokens of a row are real, 0 to M.
        offset: position of the first query, 0 when nothing is cached.
        theta: base of the rotary frequencies, above 0.

    Returns:
        [B, T, H, D]. On a CPU NaN where a query, or a vector that it sees, is not finite; what it does not see may be
        anything, and so may its own vectors if its gradient is 0. Kernels promise that for memory and other rows alone.

    Raises:
        TypeError: an argument is no tensor, or no number.
        ValueError: shapes, dtypes or devices do not agree, a number is outside its range, or on a CPU a length.
    """
    expect_tensor("query", query, FLOATING, ("B", "T", "H", "D"))
    expect_tensor("latent", latent, FLOATING, (query.shape[0], "S", "G", "D"), beside=("query", query))
    expect_number("offset", offset, least=0, whole=True)
    if latent.shape[1] != offset + query.shape[1]:
        raise ValueError(f"expected latent with {offset + query.shape[1]} places (offset + queries), got {latent.shape[1]}")
    _check(query, latent, memory, memory_lengths, query.shape[0], theta)
    if not _has_kernel(query):
        if offset == 0 and takes(query, query.shape[-1]) and is_finite(query) and is_finite(latent):
            angles = kept_angles(latent.shape[1], query.shape[-1] // 2, theta, latent.dtype)
            return attend_memory(query, latent, memory, memory_lengths, angles)
        return cross_attention_reference(query, latent, memory, memory_lengths, offset=offset, theta=theta)
    (rows, queries), keys = query.shape[:2], latent.shape[1]
    starts = torch.arange(rows + 1, dtype=torch.int32, device=query.device)
    out: Tensor = torch.ops.bbkernels.cross_attention(
        query.flatten(0, 1), latent.flatten(0, 1), memory, memory_lengths, starts * queries, starts * keys,
        queries, keys, theta,
    )[0]  # fmt: skip
    return out.view(query.shape)


def packed_cross_attention(
    query: Tensor,
    latent: Tensor,
    memory: Tensor,
    memory_lengths: Tensor,
    query_starts: Tensor,
    key_starts: Tensor,
    *,
    max_queries: int,
    max_keys: int,
    theta: float = 10_000.0,
) -> Tensor:
    """`cross_attention` of rows of different lengths, one behind the other without padding.

    Row b has the queries `query_starts[b] .. query_starts[b + 1] - 1` and likewise its latents, at least as many; its
    queries are the last of its positions.

    Args:
        query: floating [N, H, D], D even.
        latent: [S, G, D] with H a multiple of G.
        memory: [B, M, G, D]; M may be 0.
        memory_lengths: int64 [B], how many memory tokens of a row are real, 0 to M.
        query_starts: int32 [B + 1], from 0 to N.
        key_starts: int32 [B + 1], from 0 to S.
        max_queries: queries of the longest row, or more; known without asking the device.
        max_keys: latents of the longest row, or more.
        theta: base of the rotary frequencies, above 0.

    Returns:
        [N, H, D], as of `cross_attention`.

    Raises:
        TypeError: an argument is no tensor, or no number.
        ValueError: shapes, dtypes or devices do not agree. What starts and lengths hold is looked at on a CPU alone.
    """
    expect_tensor("query", query, FLOATING, ("N", "H", "D"))
    expect_tensor("latent", latent, FLOATING, ("S", "G", "D"), beside=("query", query))
    expect_tensor("memory", memory, FLOATING, ("B", "M", "G", "D"), beside=("query", query))
    rows = memory.shape[0]
    for name, starts, total, longest in (
        ("query_starts", query_starts, query.shape[0], ("max_queries", max_queries)),
        ("key_starts", key_starts, latent.shape[0], ("max_keys", max_keys)),
    ):
        expect_tensor(name, starts, INT32, (rows + 1,), beside=("query", query))
        expect_number(*longest, least=0, whole=True)
        _check_starts(name, starts, total, longest)
    if can_look(query_starts) and bool((query_starts.diff() > key_starts.diff()).any()):
        raise ValueError(
            f"expected key_starts with at least as many latents as queries in each row, got {key_starts.diff().tolist()} "
            f"for {query_starts.diff().tolist()}"
        )
    _check(query, latent, memory, memory_lengths, rows, theta)
    if not _has_kernel(query):
        return packed_cross_attention_reference(
            query, latent, memory, memory_lengths, query_starts, key_starts,
            max_queries=max_queries, max_keys=max_keys, theta=theta,
        )  # fmt: skip
    out: Tensor = torch.ops.bbkernels.cross_attention(
        query, latent, memory, memory_lengths, query_starts, key_starts, max_queries, max_keys, theta
    )[0]
    return out


def _check(query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, rows: int, theta: float) -> None:
    heads, size = query.shape[-2:]
    groups = latent.shape[-2]
    if size % 2 or not size:
        raise ValueError(f"expected query with an even head size (rotary pairs), got {size}")
    if not groups:
        raise ValueError("expected latent with at least 1 head, got 0")
    if heads % groups:
        raise ValueError(f"expected query heads to be a multiple of latent heads {groups}, got {heads}")
    expect_tensor("memory", memory, FLOATING, (rows, "M", groups, size), beside=("query", query))
    expect_tensor("memory_lengths", memory_lengths, INT64, (rows,), beside=("query", query))
    for name, value in (("latent", latent), ("memory", memory)):
        if value.shape[-1] != size:
            raise ValueError(f"expected {name} with the head size of query {size}, got {value.shape[-1]}")
        expect_same_dtype(name, value, "query", query)
    expect_number("theta", theta, above=0.0)
    expect_values("memory_lengths", memory_lengths, 0, memory.shape[1])


def _check_starts(name: str, starts: Tensor, total: int, longest: tuple[str, int]) -> None:
    """Whether rows begin where the one before ends, and none is longer than promised; on a CPU alone."""
    if not can_look(starts):
        return
    places = starts.tolist()
    counts = [end - begin for begin, end in itertools.pairwise(places)]
    if places[0] != 0 or places[-1] != total or min(counts, default=0) < 0:
        raise ValueError(f"expected {name} rising from 0 to {total}, got {places}")
    if max(counts, default=0) > longest[1]:
        raise ValueError(f"expected {longest[0]} of at least the longest row {max(counts)}, got {longest[1]}")


def _has_kernel(query: Tensor) -> bool:
    return launches_kernels(query) and query.shape[-1] <= MAX_SIZE


@operator("bbkernels::cross_attention")
def _attend(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, query_starts: Tensor, key_starts: Tensor,
    max_queries: int, max_keys: int, theta: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """out [N, H, D], and float32 [H, N] for the backward pass: base-2 logarithms of the sums of exponentials."""
    import triton

    from bbkernels.cross_attention.kernel import cross_attention_forward

    queries, heads, size = query.shape
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    mass = torch.empty(heads, queries, dtype=torch.float32, device=query.device)
    if out.numel():
        tiles = forward_tiles(size, query.dtype, architecture_of(query.device))
        query, latent, memory = _dense(query), _dense(latent), _dense(memory)
        cross_attention_forward[(triton.cdiv(max_queries, tiles.queries), heads, memory.shape[0])](
            query, latent, memory, memory_lengths.contiguous(), query_starts.contiguous(), key_starts.contiguous(),
            kept_frequencies(size // 2, theta, query.device), out, mass,
            *_sizes(query, latent, memory, tiles), num_warps=tiles.warps,
        )  # fmt: skip
    return out, mass


@_attend.register_fake
def _(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, query_starts: Tensor, key_starts: Tensor,
    max_queries: int, max_keys: int, theta: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    return out, query.new_empty((query.shape[1], query.shape[0]), dtype=torch.float32)


@operator("bbkernels::cross_attention_backward")
def _attend_backward(
    gradient: Tensor, query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, query_starts: Tensor,
    key_starts: Tensor, out: Tensor, mass: Tensor, max_queries: int, max_keys: int, theta: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    import triton

    from bbkernels.cross_attention.kernel import cross_attention_backward_latent, cross_attention_backward_query

    rows, slots, groups, size = memory.shape
    grad_query, grad_latent, grad_memory = (
        torch.empty(like.shape, dtype=like.dtype, device=like.device) for like in (query, latent, memory)
    )
    if not query.numel():
        return grad_query, grad_latent.zero_(), grad_memory.zero_()
    gradient, query, latent, memory = gradient.contiguous(), _dense(query), _dense(latent), _dense(memory)
    frequency = kept_frequencies(size // 2, theta, query.device)
    ragged = (memory_lengths.contiguous(), query_starts.contiguous(), key_starts.contiguous(), frequency)
    delta = torch.empty_like(mass)
    tiles = query_tiles(size, query.dtype, architecture_of(query.device))
    cross_attention_backward_query[(triton.cdiv(max_queries, tiles.queries), query.shape[1], rows)](
        gradient, query, latent, memory, *ragged, out, mass, delta, grad_query,
        *_sizes(query, latent, memory, tiles), num_warps=tiles.warps,
    )  # fmt: skip
    tiles = latent_tiles(size, query.dtype, architecture_of(query.device))
    blocks = triton.cdiv(slots, tiles.keys) + triton.cdiv(max_keys, tiles.keys)
    cross_attention_backward_latent[(blocks, groups, rows)](
        gradient, query, latent, memory, *ragged, mass, delta, grad_latent, grad_memory,
        *_sizes(query, latent, memory, tiles), num_warps=tiles.warps,
    )  # fmt: skip
    return grad_query, grad_latent, grad_memory


@_attend_backward.register_fake
def _(
    gradient: Tensor, query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, query_starts: Tensor,
    key_starts: Tensor, out: Tensor, mass: Tensor, max_queries: int, max_keys: int, theta: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    grads = [torch.empty(like.shape, dtype=like.dtype, device=like.device) for like in (query, latent, memory)]
    return grads[0], grads[1], grads[2]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.max_queries, ctx.max_keys, ctx.theta = inputs
    ctx.save_for_backward(*tensors, *output)
    ctx.mark_non_differentiable(output[1])


def _differentiate(context: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    grads = torch.ops.bbkernels.cross_attention_backward(
        gradient, *context.saved_tensors, context.max_queries, context.max_keys, context.theta
    )
    return *grads, None, None, None, None, None, None


differentiable_once(_attend_backward, "cross_attention")
_attend.register_autograd(_differentiate, setup_context=_keep)


def _sizes(query: Tensor, latent: Tensor, memory: Tensor, tiles: Tiles) -> tuple[Any, ...]:
    """The arguments behind the tensors, which all three kernels take."""
    queries, heads, size = query.shape
    scale = math.log2(math.e) / math.sqrt(size)
    return (
        queries, memory.shape[1], *query.stride()[:2], *latent.stride()[:2], *memory.stride()[:3], scale,
        heads, heads // latent.shape[1], size, tiles.half, tiles.queries, tiles.keys, product_type(query.dtype),
    )  # fmt: skip


def _dense(x: Tensor) -> Tensor:
    """The same with neighbouring values in a vector."""
    return x if x.stride(-1) == 1 else x.contiguous()
