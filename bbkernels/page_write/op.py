"""Public entry of `page_write`: checks, operator, launch. It serves; there are no gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from bbkernels.checks import FLOATING, INT64, can_look, expect_same_dtype, expect_tensor
from bbkernels.dispatch import launches_kernels, operator
from bbkernels.page_write.reference import write_pages_reference

BLOCK = 4096
"""Values of a program, of keys and of values each."""


@torch.no_grad()
def write_pages(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> None:
    """`key_pages[slots[n] // L, slots[n] % L] = keys[n]`, and the same with values, in place.

    Args:
        keys, values: floating [N, G, D] of new tokens.
        key_pages, value_pages: [P, L, G, D], as `ragged_attention` reads them; changed.
        slots: int64 [N], below P * L and each at most once; rows whose slot is below 0 are left out, so that a captured graph
            may have more rows than there are tokens. On a GPU rows with a slot from P * L on are left out as well.

    Raises:
        TypeError: an argument is no tensor.
        ValueError: shapes, dtypes or devices do not agree, or on a CPU a slot is outside the pages.
    """
    expect_tensor("keys", keys, FLOATING, ("N", "G", "D"))
    shape = tuple(keys.shape)
    expect_tensor("values", values, FLOATING, shape, beside=("keys", keys))
    expect_tensor("key_pages", key_pages, FLOATING, ("P", "L", *shape[1:]), beside=("keys", keys))
    expect_tensor("value_pages", value_pages, FLOATING, tuple(key_pages.shape), beside=("keys", keys))
    for name, value in (("values", values), ("key_pages", key_pages), ("value_pages", value_pages)):
        expect_same_dtype(name, value, "keys", keys)
    expect_tensor("slots", slots, INT64, (shape[0],), beside=("keys", keys))
    places = key_pages.shape[0] * key_pages.shape[1]
    if shape[0] and can_look(slots) and (highest := int(slots.max())) >= places:
        raise ValueError(f"expected slots below {places}, places of all pages, got {highest}")
    write_unchecked(keys, values, key_pages, value_pages, slots)


@torch.no_grad()
def write_unchecked(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> None:
    """`write_pages` for callers whose layers share one set of slots, on a CPU almost as quick as the copies themselves."""
    if launches_kernels(keys) or torch.compiler.is_compiling():
        torch.ops.bbkernels.page_write(keys, values, key_pages, value_pages, slots)
    else:
        write_pages_reference(keys, values, key_pages, value_pages, slots)


@operator("bbkernels::page_write", mutates=("key_pages", "value_pages"))
def _write(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> None:
    if not launches_kernels(keys):  # in a graph of a CPU
        write_pages_reference(keys, values, key_pages, value_pages, slots)
        return
    from bbkernels.page_write.kernel import write_pages_kernel

    for name, pages in (("key_pages", key_pages), ("value_pages", value_pages)):
        if pages.stride(-1) != 1:
            raise ValueError(f"expected {name} with neighbouring values in a vector (last stride 1), got {pages.stride(-1)}")
    if not keys.numel():
        return
    keys, values = (x if x.stride(-1) == 1 else x.contiguous() for x in (keys, values))
    (rows, groups, size), (pages_held, page) = keys.shape, key_pages.shape[:2]
    block_groups, block_size = blocks(groups, size)
    write_pages_kernel[(rows, -(-groups // block_groups))](
        keys, values, key_pages, value_pages, slots.contiguous(), pages_held * page, *keys.stride()[:2], *values.stride()[:2],
        *key_pages.stride()[:3], *value_pages.stride()[:3], groups, size, block_groups, block_size, page,
    )  # fmt: skip


@_write.register_fake
def _(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> None:
    return None


def blocks(groups: int, size: int) -> tuple[int, int]:
    """Heads and values of a head of one program, powers of two."""
    block_size = 1 << max(0, size - 1).bit_length()
    return max(1, min(1 << max(0, groups - 1).bit_length(), BLOCK // block_size)), block_size
