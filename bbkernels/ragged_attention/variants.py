"""How `ragged_attention` is launched, for compiling ahead of time: large models, and the bundled one."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bbkernels.variant import ARCHITECTURES, Variant

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
_MODELS = (
    # heads, heads of keys, head size, dtype, window, soft cap, sinks
    (32, 8, 128, "bf16", 0, 0.0, False),
    (64, 8, 64, "bf16", 128, 0.0, True),
    (8, 4, 256, "bf16", 4096, 50.0, False),
    (28, 4, 128, "fp16", 0, 0.0, False),
    (32, 32, 96, "bf16", 2047, 0.0, False),
    (6, 6, 32, "fp32", 0, 0.0, False),
    (32, 8, 64, "fp32", 0, 0.0, False),
    (32, 8, 128, "fp32", 0, 0.0, False),
    (8, 4, 256, "fp32", 4096, 50.0, False),
)
_LAUNCHES = (("one row each", 64, True), ("pieces", 2048, False), ("pieces in parts", 2048, True))
"""Name, new rows of 64 texts, whether the result is joined from parts."""


def variants() -> Iterator[Variant]:
    """One row per text and pieces of prompts, for heads of 32 to 256; table and starts are read singly."""
    from bbkernels.cross_attention.launch import product_type
    from bbkernels.ragged_attention.kernel import ragged_attention_join, ragged_attention_parts
    from bbkernels.ragged_attention.launch import join_warps, plan

    types = dict.fromkeys(("table", "starts", "lengths"), "*i32") | {"scale": "fp32", "part_out": "*fp32", "part_mass": "*fp32"}
    types |= dict.fromkeys(
        ("rows", "sequences", "query_stride", "query_head_stride", "key_page_stride", "key_place_stride", "key_head_stride",
         "value_page_stride", "value_place_stride", "value_head_stride", "table_stride"), "i32",
    )  # fmt: skip
    for heads, groups, size, letters, window, soft_cap, sinks in _MODELS:
        dtype = _DTYPES[letters]
        held = types | dict.fromkeys(("query", "keys", "values", "sinks"), f"*{letters}")
        name = f"{heads}/{groups} heads of {size}, {letters}"
        for architecture in ARCHITECTURES:
            for what, rows, parted in _LAUNCHES:
                if what == "pieces in parts" and letters == "fp32":
                    continue  # with tiles this small nothing hangs on where the result goes
                cut = plan(
                    rows, 64, heads, groups, size, 32_768, dtype, architecture=architecture, multiprocessors=132
                )  # fmt: skip
                constants = {
                    "window": window, "soft_cap": soft_cap, "heads": heads, "group": heads // groups, "size": size,
                    "block_size": cut.block_size, "lanes": cut.lanes, "block_rows": cut.block_rows,
                    "block_keys": cut.block_keys, "block_sequences": 128, "page": 16, "least": cut.least,
                    "product": product_type(dtype),
                }  # fmt: skip
                constants |= ({} if sinks else {"sinks": None}) | ({} if parted else {"part_mass": None})
                yield Variant(
                    name=f"{ragged_attention_parts.__name__}, {name}, {what}",
                    kernel=ragged_attention_parts,
                    types=held | {"out": "*fp32" if parted else f"*{letters}"},
                    constants=constants,
                    num_warps=cut.warps,
                    narrow=True,
                    architectures=(architecture,),
                )
        yield Variant(
            name=f"{ragged_attention_join.__name__}, {name}",
            kernel=ragged_attention_join,
            types=held | {"out": f"*{letters}"},
            constants={"splits": 64, "size": size, "block": cut.block_size},
            num_warps=join_warps(size),
            narrow=True,
        )
