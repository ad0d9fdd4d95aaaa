"""Public entry of `ragged_attention`: checks, operator, launches. It serves; there are no gradients."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, INT32, can_look, expect_number, expect_same_dtype, expect_tensor, expect_values
from bbkernels.dispatch import native_library
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
    library = native_library(query) if query.device.type == "cpu" else None
    if library is not None and serves_on_cpu(query, keys, values):
        return attend_on_cpu(
            library, query, keys, values, table, starts, lengths, scale=scale, window=window, soft_cap=soft_cap, sinks=sinks
        )
    return ragged_attention_reference(
        query, keys, values, table, starts, lengths, scale=scale, window=window, soft_cap=soft_cap, sinks=sinks
    )


def _check(
    query: Tensor, keys: Tensor, values: Tensor, table: Tensor, starts: Tensor, lengths: Tensor, sinks: Tensor | None
) -> None:
    expect_tensor("query", query, FLOATING, ("N", "H", "D"))
    rows, heads, size = query.shape
    expect_tensor("keys", keys, FLOATING, ("P", "L", "G", size), beside=("query", query))
    expect_tensor("values", values, FLOATING, tuple(keys.shape), beside=("query", query))
    for name, value in (("keys", keys), ("values", values)):
        expect_same_dtype(name, value, "query", query)
    if not keys.shape[1] or not keys.shape[2] or heads % keys.shape[2]:
        raise ValueError(f"expected keys [P, L, G, D] with {heads} heads a multiple of G and L above 0, got {list(keys.shape)}")
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
