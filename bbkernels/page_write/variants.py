"""How `page_write` is launched, for compiling ahead of time: large models, and the bundled one."""

from __future__ import annotations

from collections.abc import Iterator

from bbkernels.variant import Variant


def variants() -> Iterator[Variant]:
    """Heads of 32 to 256; the slot alone is read singly."""
    from bbkernels.page_write.kernel import write_pages_kernel
    from bbkernels.page_write.op import blocks

    strides = dict.fromkeys(
        ("places", "key_stride", "key_head_stride", "value_stride", "value_head_stride", "key_page_stride", "key_place_stride",
         "key_page_head_stride", "value_page_stride", "value_place_stride", "value_page_head_stride"), "i32",
    )  # fmt: skip
    for groups, size, letters in ((8, 128, "bf16"), (32, 96, "bf16"), (4, 256, "bf16"), (6, 32, "fp32")):
        block_groups, block_size = blocks(groups, size)
        yield Variant(
            name=f"{write_pages_kernel.__name__}, {groups} heads of {size}, {letters}",
            kernel=write_pages_kernel,
            types=strides | dict.fromkeys(("keys", "values", "key_pages", "value_pages"), f"*{letters}") | {"slots": "*i64"},
            constants={
                "groups": groups, "size": size, "block_groups": block_groups, "block_size": block_size, "page": 16,
            },
            narrow=True,
        )  # fmt: skip
