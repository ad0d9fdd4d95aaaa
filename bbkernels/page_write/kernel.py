"""Device code of `page_write`."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def write_pages_kernel(
    keys, values, key_pages, value_pages, slots,
    places, key_stride, key_head_stride, value_stride, value_head_stride,
    key_page_stride, key_place_stride, key_page_head_stride, value_page_stride, value_place_stride, value_page_head_stride,
    groups: tl.constexpr, size: tl.constexpr, block_groups: tl.constexpr, block_size: tl.constexpr, page: tl.constexpr,
):  # fmt: skip
    """`block_groups` heads of one row. What has no place in the pages is left out."""
    row = tl.program_id(0).to(tl.int64)
    group = (tl.program_id(1) * block_groups + tl.arange(0, block_groups)).to(tl.int64)[:, None]
    d = tl.arange(0, block_size)[None, :]
    slot = tl.load(slots + row)
    held = (group < groups) & (d < size) & (slot >= 0) & (slot < places)
    number, place = slot // page, slot % page
    k = tl.load(keys + row * key_stride + group * key_head_stride + d, mask=held)
    v = tl.load(values + row * value_stride + group * value_head_stride + d, mask=held)
    target = number * key_page_stride + place * key_place_stride
    tl.store(key_pages + target + group * key_page_head_stride + d, k, mask=held)
    target = number * value_page_stride + place * value_place_stride
    tl.store(value_pages + target + group * value_page_head_stride + d, v, mask=held)
