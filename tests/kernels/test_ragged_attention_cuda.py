"""Attention over pages, and writing into them, on a GPU: the kernels themselves, and inside a CUDA graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.page_write import write_pages
from bbkernels.ragged_attention import ragged_attention
from bbkernels.ragged_attention.reference import ragged_attention_reference
from tests.kernels.conftest import DTYPES, assert_within_budget
from tests.kernels.test_ragged_attention import PLAIN, inputs

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

MODELS = [(32, 8, 128), (64, 8, 64), (8, 4, 256), (28, 4, 128), (32, 32, 96), (12, 1, 80), (71, 1, 64), (6, 6, 32), (4, 2, 33)]
"""Heads, heads of keys, head size."""
BATCHES = {
    "one text": ([1], [4000]),
    "one row each": ([1] * 9, [1, 16, 17, 129, 700, 2048, 3, 64, 65]),
    "a prompt": ([300], [300]),
    "rows and pieces": ([1, 1, 200, 0, 37], [513, 3, 450, 9, 1037]),
}


def on_device(given: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to("cuda", dtype if value.is_floating_point() else value.dtype) for name, value in given.items()}


def compare(given: dict[str, Tensor], **options: Any) -> None:
    """The kernels with NaN in the memory they allocate, against the reference in float64."""
    chosen = {**PLAIN, "scale": given["query"].shape[-1] ** -0.5, **options}
    wide = {name: value.double() if value.is_floating_point() else value for name, value in given.items()}
    sinks = chosen["sinks"]
    truth = ragged_attention_reference(**wide, **{**chosen, "sinks": None if sinks is None else sinks.double()})
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        out = ragged_attention(**given, **chosen)
    finally:
        torch.use_deterministic_algorithms(before)
    assert_within_budget("out", out, ragged_attention_reference(**given, **chosen), truth)


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(
    ("heads", "groups", "size", "dtype"),
    [(*model, torch.bfloat16) for model in MODELS]
    + [(*model, dtype) for model in ((32, 8, 128), (8, 4, 256), (6, 6, 32)) for dtype in (torch.float32, torch.float16)],
)
def test_values_are_those_of_the_reference(
    heads: int, groups: int, size: int, batch: tuple[list[int], list[int]], dtype: torch.dtype
) -> None:
    compare(on_device(inputs(*batch, heads=heads, groups=groups, size=size, page=16), dtype))


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize(
    "options", [{"window": 1}, {"window": 100}, {"soft_cap": 3.0}, {"sinks": True}, {"window": 100, "sinks": True}]
)
def test_windows_caps_and_sinks(batch: tuple[list[int], list[int]], options: dict[str, Any]) -> None:
    given = on_device(inputs(*batch, heads=8, groups=2, size=64, page=16), torch.bfloat16)
    if "sinks" in options:
        options = {**options, "sinks": torch.linspace(-3, 9, 8, device="cuda")}
    compare(given, **options)


def test_a_graph_stays_true_while_texts_grow_and_come_and_go() -> None:
    """A decoding step of four places, captured once: page write, then attention; two of its places are empty at first."""
    generator = torch.Generator("cuda").manual_seed(0)
    pages = [torch.full((40, 16, 2, 64), torch.nan, device="cuda", dtype=torch.bfloat16) for _ in range(2)]
    for held in pages:
        held[:30] = torch.randn(30, 16, 2, 64, generator=generator, device="cuda").to(held.dtype)
    query = torch.randn(4, 8, 64, generator=generator, device="cuda").bfloat16()
    new = [torch.randn(4, 2, 64, generator=generator, device="cuda").bfloat16() for _ in range(2)]
    table = torch.randperm(30, generator=generator, device="cuda").int()[:28].view(4, 7)
    starts, lengths = torch.tensor([0, 1, 2, 2, 2]).int().cuda(), torch.tensor([5, 90, 0, 0]).int().cuda()
    slots = torch.full((4,), -1, device="cuda")

    def step() -> Tensor:
        write_pages(*new, *pages, slots)
        return ragged_attention(query, *pages, table, starts, lengths, scale=0.125, window=64)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()  # raises where the host would wait
    finally:
        torch.cuda.set_sync_debug_mode("default")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = step()
    for told in ([5, 90], [6, 91, 1], [7, 92, 2, 33], [112, 16, 17, 3]):
        count = len(told)
        starts.copy_(torch.tensor([*range(count + 1), *[count] * (4 - count)]))
        lengths.copy_(torch.tensor([*told, *[0] * (4 - count)]))
        places = [int(table[row, (length - 1) // 16]) * 16 + (length - 1) % 16 for row, length in enumerate(told)]
        slots.copy_(torch.tensor([*places, *[-1] * (4 - count)]))
        query.copy_(torch.randn(4, 8, 64, generator=generator, device="cuda"))
        graph.replay()
        for held, rows in zip(pages, new, strict=True):
            for place, row in zip(places, rows[:count], strict=True):
                assert torch.equal(held[place // 16, place % 16], row)
        given = {"query": query, "keys": pages[0], "values": pages[1], "table": table, "starts": starts, "lengths": lengths}
        chosen = {**PLAIN, "scale": 0.125, "window": 64}
        wide = {name: value.double() if value.is_floating_point() else value for name, value in given.items()}
        same, truth = ragged_attention_reference(**given, **chosen), ragged_attention_reference(**wide, **chosen)
        assert_within_budget("out", out, same, truth)
        assert pages[0][30:].isnan().all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_where_their_slots_say(dtype: torch.dtype) -> None:
    keys, values = (torch.randn(5, 7, 96, device="cuda").to(dtype).transpose(0, 1) for _ in range(2))
    pages = [torch.zeros(3, 16, 5, 96, device="cuda", dtype=dtype) for _ in range(2)]
    slots = torch.tensor([47, 0, -1, 16, 48, 3, 31], device="cuda")
    write_pages(keys, values, *pages, slots)
    real = torch.tensor([0, 1, 3, 5, 6], device="cuda")
    for held, rows in zip(pages, (keys, values), strict=True):
        expected = torch.zeros_like(held)
        expected.view(48, 5, 96)[slots[real]] = rows[real]
        assert torch.equal(held, expected)
