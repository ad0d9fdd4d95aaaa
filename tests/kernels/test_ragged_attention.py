"""Attention of many sequences' newest tokens over pages: what it computes, and that a row's bits are its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.native import cpu_library
from bbkernels.ragged_attention import ragged_attention
from bbkernels.ragged_attention.native import attend_on_cpu
from bbkernels.ragged_attention.reference import ragged_attention_reference

PLAIN: dict[str, Any] = {"scale": 0.3, "window": None, "soft_cap": None, "sinks": None}
native = pytest.mark.skipif(cpu_library() is None, reason="needs the native library: python scripts/build_native.py")


def inputs(
    new: list[int], lengths: list[int], *, heads: int = 4, groups: int = 2, size: int = 20, page: int = 5, seed: int = 0
) -> dict[str, Tensor]:
    """Sequences of `lengths` whose last `new` tokens ask; pages in any order, and NaN wherever nothing may be read."""
    generator = torch.Generator().manual_seed(seed)
    width = 1 + max(lengths) // page
    pages = len(lengths) * width
    table = torch.randperm(pages, generator=generator).view(len(lengths), width).int()
    keys, values = (torch.randn(pages, page, groups, size, generator=generator) for _ in range(2))
    for row, length in enumerate(lengths):
        for place in range(length, width * page):
            keys[table[row, place // page], place % page] = torch.nan
            values[table[row, place // page], place % page] = torch.nan
    query = torch.randn(sum(new), heads, size, generator=generator)
    starts = torch.tensor([0, *torch.tensor(new).cumsum(0).tolist()], dtype=torch.int32)
    return {
        "query": query, "keys": keys, "values": values, "table": table, "starts": starts,
        "lengths": torch.tensor(lengths, dtype=torch.int32),
    }  # fmt: skip


def test_it_is_causal_attention_of_each_sequence_alone() -> None:
    given = inputs([3, 1, 7], [8, 5, 7])
    out = ragged_attention(**given, scale=0.3)
    first = 0
    for row, (count, length) in enumerate(zip([3, 1, 7], [8, 5, 7], strict=True)):
        k, v = (given[name][given["table"][row].long()].flatten(0, 1)[:length].double() for name in ("keys", "values"))
        q = given["query"][first : first + count].double()
        mask = torch.ones(length, length, dtype=torch.bool).tril()[-count:]
        alone = F.scaled_dot_product_attention(
            q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1), attn_mask=mask, scale=0.3, enable_gqa=True
        )
        torch.testing.assert_close(out[first : first + count], alone.transpose(0, 1).float(), atol=2e-6, rtol=1e-5)
        first += count


@native
@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize(
    "options",
    [{}, {"window": 1}, {"window": 6}, {"window": 40}, {"soft_cap": 0.7}, {"sinks": torch.tensor([0.5, -3.0, 9.0, 0.0])}],
    ids=["plain", "window 1", "window 6", "window 40", "soft cap", "sinks"],
)
@pytest.mark.parametrize(("groups", "size"), [(2, 20), (1, 32), (4, 7)])
def test_native_code_computes_what_the_reference_does(groups: int, size: int, options: dict[str, Any], level: int) -> None:
    given, chosen = inputs([2, 1, 37, 0], [70, 33, 37, 9], groups=groups, size=size), {**PLAIN, **options}
    library = cpu_library()
    assert library is not None
    truth = ragged_attention_reference(
        **{name: value.double() if value.is_floating_point() else value for name, value in given.items()}, **chosen
    )
    out = attend_on_cpu(library, *given.values(), **chosen, level=level)
    torch.testing.assert_close(out.double(), truth, atol=3e-6, rtol=1e-5)
    rounded = {name: value.bfloat16() if value.is_floating_point() else value for name, value in given.items()}
    out = attend_on_cpu(library, *rounded.values(), **chosen, level=level)
    truth = ragged_attention_reference(
        **{name: value.double() if value.is_floating_point() else value for name, value in rounded.items()}, **chosen
    )
    torch.testing.assert_close(out.double(), truth, atol=1e-2, rtol=1e-2)


@native
def test_bits_do_not_depend_on_neighbours_pages_or_the_cut_of_a_prompt() -> None:
    given = inputs([6, 41, 1], [66, 41, 30], page=16)
    whole = ragged_attention(**given, scale=0.3)
    for row in range(3):
        first, end = given["starts"][row].item(), given["starts"][row + 1].item()
        alone = {
            **given,
            "query": given["query"][first:end],
            "table": given["table"][row : row + 1],
            "starts": torch.tensor([0, end - first], dtype=torch.int32),
            "lengths": given["lengths"][row : row + 1],
        }
        assert torch.equal(ragged_attention(**alone, scale=0.3), whole[first:end])
    for cut in (1, 13, 40):
        part = {
            **given,
            "query": given["query"][6 : 6 + cut],
            "table": given["table"][1:2],
            "starts": torch.tensor([0, cut], dtype=torch.int32),
            "lengths": torch.tensor([cut], dtype=torch.int32),
        }
        assert torch.equal(ragged_attention(**part, scale=0.3), whole[6 : 6 + cut])
    # The same tokens in pages of another size.
    order = given["table"].flatten().long()
    small = {name: given[name].view(-1, 4, *given[name].shape[2:]) for name in ("keys", "values")}
    table = (given["table"][..., None].long() * 4 + torch.arange(4)).flatten(1).int()
    assert len(order) * 4 == small["keys"].shape[0]
    assert torch.equal(ragged_attention(**{**given, **small, "table": table}, scale=0.3), whole)


def test_rows_behind_the_last_sequence_give_nothing() -> None:
    given = inputs([2, 1], [4, 3])
    given["query"] = torch.cat([given["query"], torch.full((2, 4, 20), torch.nan)])
    out = ragged_attention(**given, scale=0.3)
    assert out[3:].eq(0).all()
    assert out[:3].isfinite().all()


def test_wrong_arguments_are_named() -> None:
    given = inputs([2, 1], [4, 3])
    for change, words in (
        ({"lengths": torch.tensor([1, 3], dtype=torch.int32)}, "lengths of at least 2 for sequence 0"),
        ({"lengths": torch.tensor([4, 99], dtype=torch.int32)}, "lengths in 0.."),
        ({"starts": torch.tensor([0, 2, 9], dtype=torch.int32)}, "starts ascending from 0 to at most 3"),
        ({"table": given["table"] + 50}, "table with pages in 0.."),
        ({"values": given["values"][:, :2]}, "values as"),
        ({"window": 0}, "window"),
        ({"scale": 0.0}, "scale"),
        ({"sinks": torch.zeros(3)}, "sinks as"),
    ):
        with pytest.raises(ValueError, match=words):
            ragged_attention(**{"scale": 0.3, **given, **change})
