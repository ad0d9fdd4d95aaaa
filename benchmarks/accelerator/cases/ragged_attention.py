"""`ragged_attention`: one row per text and pieces of prompts, beside SDPA over keys in one piece and the specification."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.bias import causal_lower_right

from bbkernels.ragged_attention import attend_unchecked
from bbkernels.ragged_attention.reference import ragged_attention_reference
from benchmarks.accelerator.case import Case, Inputs, Scale, normal

_PAGE = 16


def cases(scale: Scale) -> Iterator[Case]:
    """Texts of one length, short ones beside a long one, whole prompts, and pieces at the end of long prompts."""
    decoding = {
        "rehearsal": ((2, 48, 4, 2, 32),),
        "processor": ((16, 300, 6, 6, 32), (8, 2048, 32, 8, 64)),
        "accelerator": ((1, 8192, 32, 8, 128), (1, 131_072, 32, 8, 128), (64, 4096, 32, 8, 128), (256, 1024, 28, 4, 128),
                        (16, 8192, 8, 4, 256)),
    }[scale]  # fmt: skip
    uneven = {
        "rehearsal": (3, 8, 40, 4, 2, 32),
        "processor": (16, 128, 4096, 32, 8, 64),
        "accelerator": (64, 1024, 65_536, 32, 8, 128),
    }[scale]
    pieces = {
        "rehearsal": ((1, 20, 20, 4, 2, 32), (2, 5, 30, 4, 2, 32)),
        "processor": ((1, 256, 256, 6, 6, 32),),
        "accelerator": ((1, 4096, 4096, 32, 8, 128), (4, 512, 8192, 32, 8, 128), (8, 256, 256, 8, 4, 256)),
    }[scale]
    for rows, places, heads, groups, size in decoding:
        name = f"{rows} x 1 of {places}, {heads}/{groups} heads of {size}"
        yield _case(name, scale, [1] * rows, [places] * rows, (heads, groups, size))
    rows, short, long, heads, groups, size = uneven
    name = f"{rows - 1} x 1 of {short} and 1 of {long}, {heads}/{groups} heads of {size}"
    yield _case(name, scale, [1] * rows, [long, *[short] * (rows - 1)], (heads, groups, size))
    for texts, new, places, heads, groups, size in pieces:
        name = f"{texts} x {new} of {places}, {heads}/{groups} heads of {size}"
        yield _case(name, scale, [new] * texts, [places] * texts, (heads, groups, size), bound="matrix")


def _case(
    name: str, scale: Scale, new: Sequence[int], lengths: Sequence[int], shape: tuple[int, int, int], *, bound: str = "bytes"
) -> Case:
    heads, groups, size = shape
    dtype = torch.bfloat16 if scale == "accelerator" else torch.float32
    even = len(set(lengths)) == 1
    pairs = sum(count * length - count * (count - 1) // 2 for count, length in zip(new, lengths, strict=True))
    peers = {"specification": _specification}
    if even:
        peers["SDPA"] = _sdpa
    return Case(
        operation="ragged_attention", name=name, make=_maker(new, lengths, shape, dtype), run=_attend, truth=_specification,
        peers=peers, bytes=2 * dtype.itemsize * size * (groups * sum(lengths) + heads * sum(new)),
        operations=4 * heads * size * pairs, bound="bytes" if bound == "bytes" else "matrix",
        target=0.85 if bound == "bytes" else None, beats={"SDPA": 1.0, "specification": 1.0} if scale == "accelerator" else {},
    )  # fmt: skip


def _maker(
    new: Sequence[int], lengths: Sequence[int], shape: tuple[int, int, int], dtype: torch.dtype
) -> Callable[[torch.device, torch.Generator], Inputs]:
    heads, groups, size = shape

    def make(device: torch.device, generator: torch.Generator) -> Inputs:
        """Pages in any order; keys and values in one piece behind them where all texts are of one length, for SDPA."""
        counts = [-(-length // _PAGE) for length in lengths]
        order = torch.randperm(sum(counts), generator=generator, device=device).int()
        table = torch.zeros(len(counts), max(counts), dtype=torch.int32, device=device)
        for row, part in enumerate(order.split(counts)):
            table[row, : len(part)] = part
        keys, values = (normal((sum(counts), _PAGE, groups, size), dtype, generator) for _ in range(2))
        starts = torch.tensor([0, *torch.tensor(new).cumsum(0).tolist()], dtype=torch.int32, device=device)
        told = torch.tensor(lengths, dtype=torch.int32, device=device)
        given = normal((sum(new), heads, size), dtype, generator), keys, values, table, starts, told
        if len(set(lengths)) > 1:
            return given
        return *given, *(pages[table].flatten(1, 2)[:, : lengths[0]].transpose(1, 2).contiguous() for pages in (keys, values))

    return make


def _attend(query: Tensor, keys: Tensor, values: Tensor, table: Tensor, starts: Tensor, lengths: Tensor, *_: Tensor) -> Tensor:
    scale = query.shape[-1] ** -0.5
    return attend_unchecked(
        query, keys, values, table, starts, lengths, scale=scale, window=None, soft_cap=None, sinks=None
    )  # fmt: skip


def _specification(
    query: Tensor, keys: Tensor, values: Tensor, table: Tensor, starts: Tensor, lengths: Tensor, *_: Tensor
) -> Tensor:
    scale = query.shape[-1] ** -0.5
    return ragged_attention_reference(
        query, keys, values, table, starts, lengths, scale=scale, window=None, soft_cap=None, sinks=None
    )  # fmt: skip


def _sdpa(
    query: Tensor, _: Tensor, __: Tensor, table: Tensor, ___: Tensor, ____: Tensor, keys: Tensor, values: Tensor
) -> Tensor:
    """[S, H, T, D] beside keys and values [S, G, L, D]; the last query sees all."""
    texts, (heads, size) = table.shape[0], query.shape[1:]
    q = query.view(texts, -1, heads, size).transpose(1, 2)
    bias = None if q.shape[2] == 1 else causal_lower_right(q.shape[2], keys.shape[2])
    return F.scaled_dot_product_attention(q, keys, values, attn_mask=bias, enable_gqa=heads != keys.shape[1])
