"""Public entry of `ragged_attention`: checks, operator, launches. It serves; there are no gradients."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, INT32, can_look, expect_number, expect_same_dtype, expect_tensor, expect_values
from bbkernels.cross_attention.launch import architecture_of, product_type
from bbkernels.dispatch import launches_kernels, native_library, operator
from bbkernels.ragged_attention.launch import MAX_SIZE, join_warps, multiprocessors_of, plan
from bbkernels.ragged_attention.native import attend_on_cpu, serves_on_cpu
from bbkernels.ragged_attention.reference import ragged_attention_reference


@torch.no_grad()
def ragged_attention(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    *,
    scale: float,
    window: int | None = None,
    soft_cap: float | None = None,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attention of the newest tokens of S sequences, of each as many as one likes, over all that came before in it.

    On a CPU with the native library a row's result has the same bits whatever stands in the other rows and however a prompt
    was cut into calls.

    Args:
        query: floating [N, H, D]; the rows `starts[s]` to `starts[s + 1]` are the newest tokens of sequence s, in order.
        keys, values: [P, L, G, D] with H a multiple of G; position p of sequence s is at place p % L of page
            `table[s, p // L]`, the new tokens' own among them.
        table: int32 [S, W]; entries behind a sequence's last page are not read.
        starts: int32 [S + 1], ascending from 0 to at most N; rows behind the last one give 0.
        lengths: int32 [S], positions of each sequence, the new ones included.
        scale: of the scores, above 0.
        window: how many positions, its own included, a token sees; None for all.
        soft_cap: scores become `soft_cap * tanh(score / soft_cap)`; None for none.
        sinks: [H], scores of a place without value beside the others; None for none.

    Returns:
        [N, H, D].

    Raises:
        TypeError: an argument is no tensor, or no number.
        ValueError: shapes, dtypes or devices do not agree, or on a CPU a number is outside its range.
    """
    _check(query, keys, values, table, starts, lengths, sinks)
    expect_number("scale", scale, above=0.0)
    if window is not None:
        expect_number("window", window, least=1, whole=True)
    if soft_cap is not None:
        expect_number("soft_cap", soft_cap, above=0.0)
    return attend_unchecked(
        query, keys, values, table, starts, lengths, scale=scale, window=window, soft_cap=soft_cap, sinks=sinks
    )


@torch.no_grad()
def attend_unchecked(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    *,
    scale: float,
    window: int | None,
    soft_cap: float | None,
    sinks: Tensor | None,
) -> Tensor:
    """`ragged_attention` for callers whose layers share one table, which to look at in every layer takes as long as a layer."""
    if _has_kernel(query) or torch.compiler.is_compiling():
        out: Tensor = torch.ops.bbkernels.ragged_attention(
            query, keys, values, table, starts, lengths, sinks, scale, window, soft_cap
        )
        return out
    return _without_kernel(query, keys, values, table, starts, lengths, sinks, scale, window, soft_cap)


def _has_kernel(query: Tensor) -> bool:
    return launches_kernels(query) and query.shape[-1] <= MAX_SIZE


def _without_kernel(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    sinks: Tensor | None,
    scale: float,
    window: int | None,
    soft_cap: float | None,
) -> Tensor:
    library = native_library(query) if query.device.type == "cpu" else None
    if library is not None and serves_on_cpu(query, keys, values):
        return attend_on_cpu(
            library, query, keys, values, table, starts, lengths, scale=scale, window=window, soft_cap=soft_cap, sinks=sinks
        )
    return ragged_attention_reference(
        query, keys, values, table, starts, lengths, scale=scale, window=window, soft_cap=soft_cap, sinks=sinks
    )


@operator("bbkernels::ragged_attention")
def _attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    sinks: Tensor | None,
    scale: float,
    window: int | None,
    soft_cap: float | None,
) -> Tensor:
    if not _has_kernel(query):  # in a graph of a CPU
        return _without_kernel(query, keys, values, table, starts, lengths, sinks, scale, window, soft_cap).contiguous()
    from bbkernels.ragged_attention.kernel import ragged_attention_join, ragged_attention_parts

    (rows, heads, size), (_, page, groups, _) = query.shape, keys.shape
    out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
    if not out.numel():
        return out
    for name, pages in (("keys", keys), ("values", values)):
        if pages.stride(-1) != 1:  # a copy of all pages would cost more than the attention
            raise ValueError(f"expected {name} with neighbouring values in a vector (last stride 1), got {pages.stride(-1)}")
    query, table = (x if x.stride(-1) == 1 else x.contiguous() for x in (query, table))
    capacity = page * table.shape[1]
    cut = plan(
        rows, table.shape[0], heads, groups, size, capacity if window is None else min(capacity, window), query.dtype,
        architecture=architecture_of(query.device), multiprocessors=multiprocessors_of(query.device),
    )  # fmt: skip
    parts, mass = out, None
    if cut.splits > 1:
        parts = torch.empty(rows, heads, cut.splits, size, dtype=torch.float32, device=query.device)
        mass = torch.empty(rows, heads, cut.splits, dtype=torch.float32, device=query.device)
    ragged_attention_parts[(cut.tiles, groups, cut.splits)](
        query, keys, values, table, starts.contiguous(), lengths.contiguous(), None if sinks is None else sinks.contiguous(),
        parts, mass, rows, table.shape[0], *query.stride()[:2], *keys.stride()[:3], *values.stride()[:3], table.stride(0),
        scale, window or 0, soft_cap or 0.0, heads, heads // groups, size, cut.block_size, cut.lanes, cut.block_rows,
        cut.block_keys, max(16, 1 << table.shape[0].bit_length()), page, cut.least, product_type(query.dtype),
        num_warps=cut.warps,
    )  # fmt: skip
    if mass is not None:
        ragged_attention_join[(rows * heads,)](
            parts, mass, out, cut.splits, size, cut.block_size, num_warps=join_warps(size)
        )  # fmt: skip
    return out


@_attend.register_fake
def _(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    table: Tensor,
    starts: Tensor,
    lengths: Tensor,
    sinks: Tensor | None,
    scale: float,
    window: int | None,
    soft_cap: float | None,
) -> Tensor:
    return torch.empty(query.shape, dtype=query.dtype, device=query.device)


def _check(
    query: Tensor, keys: Tensor, values: Tensor, table: Tensor, starts: Tensor, lengths: Tensor, sinks: Tensor | None
) -> None:
    expect_tensor("query", query, FLOATING, ("N", "H", "D"))
    rows, heads, size = query.shape
    expect_tensor("keys", keys, FLOATING, ("P", "L", "G", size), beside=("query", query))
    if not keys.shape[1] or not keys.shape[2] or heads % keys.shape[2]:
        raise ValueError(f"expected keys [P, L, G, D] with {heads} heads a multiple of G and L above 0, got {list(keys.shape)}")
    expect_tensor("values", values, FLOATING, tuple(keys.shape), beside=("query", query))
    for name, value in (("keys", keys), ("values", values)):
        expect_same_dtype(name, value, "query", query)
    expect_tensor("table", table, INT32, ("S", "W"), beside=("query", query))
    expect_tensor("starts", starts, INT32, (table.shape[0] + 1,), beside=("query", query))
    expect_tensor("lengths", lengths, INT32, (table.shape[0],), beside=("query", query))
    if sinks is not None:
        expect_tensor("sinks", sinks, FLOATING, (heads,), beside=("query", query))
    expect_values("lengths", lengths, 0, table.shape[1] * keys.shape[1])
    if can_look(table):
        _check_places(table, starts, lengths, keys, rows)


def _check_places(table: Tensor, starts: Tensor, lengths: Tensor, keys: Tensor, rows: int) -> None:
    """Whether what is read and written is there; on a CPU alone."""
    bounds = starts.tolist()
    if bounds[0] != 0 or bounds[-1] > rows or any(a > b for a, b in pairwise(bounds)):
        raise ValueError(f"expected starts ascending from 0 to at most {rows}, got {bounds}")
    pages, page = keys.shape[:2]
    for row, length in enumerate(lengths.tolist()):
        if bounds[row + 1] - bounds[row] > length:
            raise ValueError(f"expected lengths of at least {bounds[row + 1] - bounds[row]} for sequence {row}, got {length}")
        used = table[row, : -(-length // page)]
        if used.numel() and not (int(used.min()) >= 0 and int(used.max()) < pages):
            raise ValueError(f"expected table with pages in 0..{pages - 1}, got {used.tolist()} for sequence {row}")
