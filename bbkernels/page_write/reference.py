"""Specification of `page_write`: `pages[slot // L, slot % L] = row` for keys and values, rows with a slot below 0 left out."""

from __future__ import annotations

from torch import Tensor


def write_pages_reference(keys: Tensor, values: Tensor, key_pages: Tensor, value_pages: Tensor, slots: Tensor) -> None:
    """See `bbkernels.page_write.write_pages`."""
    if slots.numel() and int(slots.min()) < 0:
        real = slots >= 0
        keys, values, slots = keys[real], values[real], slots[real]
    for rows, pages in ((keys, key_pages), (values, value_pages)):
        if pages.is_contiguous():
            pages.flatten(0, 1).index_copy_(0, slots, rows)
        else:
            pages.index_put_((slots // pages.shape[1], slots % pages.shape[1]), rows)
