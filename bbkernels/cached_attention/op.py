"""Public entries of `cached_attention`: checks, operator, launches. It serves; there are no gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bbkernels.cached_attention.launch import block_keys, part_warps, split_count
from bbkernels.cached_attention.reference import paged_attention_reference, slotted_attention_reference
from bbkernels.checks import (
    FLOATING,
    INT32,
    INT64,
    can_look,
    expect_number,
    expect_same_dtype,
    expect_tensor,
    expect_values,
)
from bbkernels.cross_attention.launch import MAX_SIZE, half_block, kept_frequencies, product_type
from bbkernels.dispatch import launches_kernels, operator


def slotted_attention(
    query: Tensor, cache: Tensor, lengths: Tensor, memory: Tensor, memory_lengths: Tensor, *, theta: float = 10_000.0
) -> Tensor:
    """`cross_attention` of each row's newest token; the cache has one slot of S places per row.

    Args:
        query: floating [B, H, D], D even, at position `lengths - 1` of its row.
        cache: [B, S, G, D] latents with H a multiple of G, the newest token's among them; places from `lengths` on are not
            read.
        lengths: int32 [B], 1 to S.
        memory: [B, M, G, D]; M may be 0.
        memory_lengths: int64 [B], how many memory tokens of a row are real, 0 to M.
        theta: base of the rotary frequencies, above 0.

    Returns:
        [B, H, D], without a gradient.

    Raises:
        TypeError: an argument is no tensor, or no number.
        ValueError: shapes, dtypes or devices do not agree, or on a CPU a length is outside its range.
    """
    _check("cache", query, cache, lengths, memory, memory_lengths, theta)
    if cache.shape[0] != query.shape[0]:
        raise ValueError(f"expected cache of {query.shape[0]} slots, one per row, got {cache.shape[0]}")
    expect_values("lengths", lengths, 1, cache.shape[1])
    if not _has_kernel(query):
        with torch.no_grad():
            return slotted_attention_reference(query, cache, lengths, memory, memory_lengths, theta=theta)
    tensors = [value.detach() for value in (query, cache, lengths, memory, memory_lengths)]
    out: Tensor = torch.ops.bbkernels.cached_attention(*tensors, None, theta)
    return out


def paged_attention(
    query: Tensor,
    pages: Tensor,
    table: Tensor,
    lengths: Tensor,
    memory: Tensor,
    memory_lengths: Tensor,
    *,
    theta: float = 10_000.0,
) -> Tensor:
    """`slotted_attention` over pages that rows take as they grow.

    Args:
        query: floating [B, H, D], D even, at position `lengths - 1` of its row.
        pages: [P, L, G, D] latents; position p of row b is at place p % L of page `table[b, p // L]`.
        table: int32 [B, W]; entries behind a row's last page are not read.
        lengths: int32 [B], 1 to W * L.
        memory: [B, M, G, D]; M may be 0.
        memory_lengths: int64 [B], how many memory tokens of a row are real, 0 to M.
        theta: base of the rotary frequencies, above 0.

    Returns:
        [B, H, D], without a gradient.

    Raises:
        TypeError: an argument is no tensor, or no number.
        ValueError: shapes, dtypes or devices do not agree, or on a CPU a length or a page is outside its range.
    """
    _check("pages", query, pages, lengths, memory, memory_lengths, theta)
    expect_tensor("table", table, INT32, (query.shape[0], "W"), beside=("query", query))
    expect_values("lengths", lengths, 1, table.shape[1] * pages.shape[1])
    _check_pages(table, lengths, pages)
    if not _has_kernel(query):
        with torch.no_grad():
            return paged_attention_reference(query, pages, table, lengths, memory, memory_lengths, theta=theta)
    tensors = [value.detach() for value in (query, pages, lengths, memory, memory_lengths)]
    out: Tensor = torch.ops.bbkernels.cached_attention(*tensors, table, theta)
    return out


def _check(
    name: str, query: Tensor, cache: Tensor, lengths: Tensor, memory: Tensor, memory_lengths: Tensor, theta: float
) -> None:
    expect_tensor("query", query, FLOATING, ("B", "H", "D"))
    rows, heads, size = query.shape
    if size % 2 or not size:
        raise ValueError(f"expected query with an even head size (rotary pairs), got {size}")
    expect_tensor(name, cache, FLOATING, ("P" if name == "pages" else "B", "S", "G", size), beside=("query", query))
    groups = cache.shape[2]
    if not groups:
        raise ValueError(f"expected {name} with at least 1 head, got 0")
    if heads % groups:
        raise ValueError(f"expected query heads to be a multiple of those of {name} {groups}, got {heads}")
    expect_tensor("lengths", lengths, INT32, (rows,), beside=("query", query))
    expect_tensor("memory", memory, FLOATING, (rows, "M", groups, size), beside=("query", query))
    expect_tensor("memory_lengths", memory_lengths, INT64, (rows,), beside=("query", query))
    for other, value in ((name, cache), ("memory", memory)):
        expect_same_dtype(other, value, "query", query)
    expect_number("theta", theta, above=0.0)
    expect_values("memory_lengths", memory_lengths, 0, memory.shape[1])


def _check_pages(table: Tensor, lengths: Tensor, pages: Tensor) -> None:
    """Whether the entries that are read are pages; on a CPU alone."""
    if not can_look(table):
        return
    for row, (entries, length) in enumerate(zip(table.tolist(), lengths.tolist(), strict=True)):
        for number in entries[: -(-length // pages.shape[1])]:
            if not 0 <= number < pages.shape[0]:
                raise ValueError(f"expected table with pages in 0..{pages.shape[0] - 1}, got {number} in row {row}")


def _has_kernel(query: Tensor) -> bool:
    return launches_kernels(query) and query.shape[-1] <= MAX_SIZE


@operator("bbkernels::cached_attention")
def _attend(
    query: Tensor,
    cache: Tensor,
    lengths: Tensor,
    memory: Tensor,
    memory_lengths: Tensor,
    table: Tensor | None,
    theta: float,
) -> Tensor:
    import triton

    from bbkernels.cached_attention.kernel import cached_attention_join, cached_attention_parts

    (rows, heads, size), (_, places, groups, _) = query.shape, cache.shape
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    if not out.numel():
        return out
    # A copy of the whole cache would cost more than the attention.
    if cache.stride(-1) != 1:
        raise ValueError("expected a cache with neighbouring values in a vector (last stride 1)")
    query, memory = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, memory))
    table = table if table is None or table.stride(-1) == 1 else table.contiguous()
    splits = split_count(rows, groups, places if table is None else places * table.shape[1], query.device)
    part_out = torch.empty(rows, heads, splits, size, dtype=torch.float32, device=query.device)
    part_mass = torch.empty(rows, heads, splits, dtype=torch.float32, device=query.device)
    group, half = heads // groups, half_block(size)
    cached_attention_parts[(splits, groups, rows)](
        query, cache, table, lengths.contiguous(), memory, memory_lengths.contiguous(),
        kept_frequencies(size // 2, theta, query.device), part_out, part_mass,
        memory.shape[1], *query.stride()[:2], *cache.stride()[:3], 0 if table is None else table.stride(0),
        *memory.stride()[:3], math.log2(math.e) / math.sqrt(size),
        heads, group, size, half, max(16, triton.next_power_of_2(group)), block_keys(), 1 if table is None else places,
        table is not None, product_type(query.dtype), num_warps=part_warps(size),
    )  # fmt: skip
    cached_attention_join[(rows * heads,)](
        part_out, part_mass, out, splits, size, triton.next_power_of_2(splits), triton.next_power_of_2(size)
    )
    return out


@_attend.register_fake
def _(
    query: Tensor,
    cache: Tensor,
    lengths: Tensor,
    memory: Tensor,
    memory_lengths: Tensor,
    table: Tensor | None,
    theta: float,
) -> Tensor:
    return torch.empty(query.shape, dtype=query.dtype, device=query.device)
