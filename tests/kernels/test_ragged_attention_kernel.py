"""The Triton kernels of attention over many sequences' pages against the reference in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bbkernels.ragged_attention import attend_unchecked, launch, ragged_attention
from bbkernels.ragged_attention.launch import plan
from bbkernels.ragged_attention.reference import ragged_attention_reference
from tests.kernels.conftest import DTYPES, assert_within_budget
from tests.kernels.test_ragged_attention import PLAIN, inputs

# A name, a line and what breaks it without leaving the arrays, which would end the interpreter.
MUTANTS = [
    ("tiles in order", "begins // block_rows + number <= tile", "begins // block_rows + number < tile"),
    ("rows of a tile", "row = tile_row + lane // group", "row = tile_row + lane // group * 0"),
    ("heads of a group", "head = shared * group + lane % group", "head = shared * group + lane % group * 0"),
    ("causal", "seen = place[None, :] <= at[:, None]", "seen = place[None, :] < at[:, None] + 2"),
    ("window", "(place[None, :] > at[:, None] - window)", "(place[None, :] >= at[:, None] - window)"),
    ("blocks before a window", "begin = tl.maximum(length - end_row + tile_row - window + 1, 0)", "begin = 0"),
    ("every part the whole", "mine_first = first_block + split * share", "mine_first = first_block"),
    ("places of a page", "slot = (place % page).to(tl.int64)", "slot = (place % page // 2).to(tl.int64)"),
    ("head of keys", "key_place_stride + shared.to(tl.int64) * key_head_stride", "key_place_stride + 0 * key_head_stride"),
    ("cap", "soft_cap * (1.0 - 2.0 /", "soft_cap * (1.0 - 1.0 /"),
    ("sinks in every part", "tl.where(split == 0, ", "tl.where(split >= 0, "),
    ("sink in base 2", "tl.float32) * 1.4426950408889634\n        largest", "tl.float32)\n        largest"),
    ("shrinking", "result * shrink[:, None]", "result"),
    ("mass", "largest + tl.log2(whole)), mask", "largest), mask"),
    ("empty parts", 'tl.where(total == 0.0, float("-inf"), largest', "tl.where(total == 0.0, 0.0, largest"),
    ("joining", "mass - tl.where(largest", "mass - mass + 0.0 * tl.where(largest"),
]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "window 1": {"window": 1},
    "window 6": {"window": 6},
    "window 40": {"window": 40},
    "soft cap": {"soft_cap": 0.7},
    "sinks": {"sinks": torch.tensor([0.5, -3.0, 9.0, 0.0])},
    "all": {"window": 19, "soft_cap": 2.0, "sinks": torch.tensor([0.5, -3.0, 2.0, -torch.inf])},
}
whole_or_parts = pytest.mark.parametrize("parts", [False, True], ids=["whole", "parts"])


@pytest.fixture(autouse=True)
def _interpreted(interpreted: None) -> None:
    """Every test here is one of the kernels."""


def without_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts have no room, as with many rows."""
    monkeypatch.setattr(launch, "MOST_PART_BYTES", 0)


def compare(given: dict[str, Tensor], dtype: torch.dtype = torch.float32, **options: Any) -> None:
    """The kernels against the reference in float64, with the error of the reference in `dtype` as the measure."""
    chosen = {**PLAIN, **options}
    rounded = {name: value.to(dtype) if value.is_floating_point() else value for name, value in given.items()}
    wide = {name: value.double() if value.is_floating_point() else value for name, value in rounded.items()}
    out = ragged_attention(**rounded, **chosen)
    truth = ragged_attention_reference(**wide, **{**chosen, "sinks": _wide(chosen["sinks"])})
    assert_within_budget("out", out, ragged_attention_reference(**rounded, **chosen), truth)


def _wide(sinks: Tensor | None) -> Tensor | None:
    return None if sinks is None else sinks.double()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("new", "lengths"), [([1, 1], [34, 5]), ([2, 9, 0], [18, 9, 3])], ids=["one row", "pieces"])
def test_values_are_those_of_the_reference(new: list[int], lengths: list[int], dtype: torch.dtype) -> None:
    compare(inputs(new, lengths), dtype)


@pytest.mark.parametrize("new", [1, 9], ids=["one row", "pieces"])
@pytest.mark.parametrize(("heads", "groups"), [(3, 3), (8, 2), (8, 1), (7, 1), (24, 1)])
def test_heads_that_share_a_head_of_keys(heads: int, groups: int, new: int) -> None:
    compare(inputs([new], [19], heads=heads, groups=groups, size=16))


@pytest.mark.parametrize("size", [7, 32, 80, 96, 192, 256])
def test_heads_of_any_size(size: int) -> None:
    compare(inputs([2], [20], heads=2, groups=1, size=size))


@whole_or_parts
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_windows_caps_and_sinks(options: dict[str, Any], parts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not parts:
        without_parts(monkeypatch)
    compare(inputs([2, 9], [46, 9], heads=4, groups=4 if parts else 2), **options)


@pytest.mark.parametrize("page", [1, 3, 16, 64])
def test_pages_of_any_size(page: int) -> None:
    compare(inputs([3], [37], page=page))


def test_a_prompt_in_pieces_is_the_prompt() -> None:
    given = inputs([29], [29], heads=2, groups=1)
    whole = ragged_attention(**given, scale=0.3)
    for first, end in ((0, 1), (1, 8), (8, 29)):
        piece = {**given, "query": given["query"][first:end], "starts": torch.tensor([0, end - first], dtype=torch.int32)}
        piece["lengths"] = torch.tensor([end], dtype=torch.int32)
        torch.testing.assert_close(ragged_attention(**piece, scale=0.3), whole[first:end], atol=2e-6, rtol=1e-5)


@whole_or_parts
def test_rows_of_no_sequence_and_sequences_of_no_row_give_nothing(parts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not parts:
        without_parts(monkeypatch)
    given = inputs([0, 2, 1, 0], [0, 20, 3, 7], heads=2, groups=1)
    expected = ragged_attention(**given, scale=0.3, sinks=torch.zeros(2))
    given["query"] = torch.cat([given["query"], torch.full((18, 2, 20), torch.nan)])
    assert ragged_attention(**given, scale=0.3)[3:].eq(0).all()
    out = ragged_attention(**given, scale=0.3, sinks=torch.zeros(2))
    assert out[3:].eq(0).all()
    torch.testing.assert_close(out[:3], expected)


@pytest.mark.parametrize(("rows", "sequences", "pages"), [(0, 0, 0), (3, 0, 0), (0, 2, 4), (3, 2, 0)])
def test_where_there_is_nothing_to_see(rows: int, sequences: int, pages: int) -> None:
    nothing = torch.zeros(sequences, dtype=torch.int32)
    starts = torch.zeros(sequences + 1, dtype=torch.int32)
    query, held = torch.ones(rows, 2, 8), torch.full((pages, 4, 1, 8), torch.nan)
    out = ragged_attention(query, held, held, torch.zeros(sequences, 0, dtype=torch.int32), starts, nothing, scale=1.0)
    assert torch.equal(out, torch.zeros(rows, 2, 8))


@pytest.mark.parametrize("new", [[1, 1], [3, 2]])
def test_pages_out_of_sight_are_never_looked_up(new: list[int]) -> None:
    given = inputs(new, [40, 8], heads=2, groups=1)
    expected = ragged_attention(**given, scale=0.3, window=7)
    table = given["table"].clone()
    for row, (count, length) in enumerate(zip(new, [40, 8], strict=True)):
        table[row, -(-length // 5) :] = 2**31 - 1
        table[row, : max(0, length - count - 6) // 5] = -(2**31)
    assert (table < 0).any()
    # Unchecked: on a CPU the public function looks at all pages up to a sequence's length.
    out = attend_unchecked(**{**given, "table": table}, **{**PLAIN, "window": 7})
    assert torch.equal(out, expected)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@whole_or_parts
def test_nan_stays_in_its_row_and_head_and_is_not_lost(parts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not parts:
        without_parts(monkeypatch)
    given = inputs([1, 1, 1], [40, 1, 23])
    clean = ragged_attention(**given, scale=0.3)
    given["keys"][given["table"][2, 1], 1, 0, 3] = torch.nan
    out = ragged_attention(**given, scale=0.3)
    assert torch.equal(out[:2], clean[:2])
    assert torch.equal(out[2, 2:], clean[2, 2:])
    assert out[2, :2].isnan().all()


def test_a_row_has_the_bits_that_it_has_beside_others_in_tables_of_one_width() -> None:
    given = inputs([1, 1, 1], [46, 31, 20], heads=2, groups=1)
    whole = ragged_attention(**given, scale=0.3)
    for row in range(3):
        alone = {**given, "query": given["query"][row : row + 1], "starts": torch.tensor([0, 1], dtype=torch.int32)}
        alone |= {name: given[name][row : row + 1] for name in ("table", "lengths")}
        assert torch.equal(ragged_attention(**alone, scale=0.3), whole[row : row + 1])


def test_strided_inputs_are_read_where_they_are_and_copies_of_pages_refused() -> None:
    given = inputs([2, 1], [20, 17])
    expected = ragged_attention(**given, scale=0.3)
    apart = {**given, "query": given["query"].transpose(0, 1).contiguous().transpose(0, 1)}
    apart["keys"] = torch.stack([given["keys"], torch.full_like(given["keys"], torch.nan)], 1)[:, 0]
    apart["values"] = given["values"].transpose(1, 2).contiguous().transpose(1, 2)
    apart["table"] = torch.stack([given["table"], given["table"]], 2)[:, :, 0]
    assert torch.equal(ragged_attention(**apart, scale=0.3), expected)
    for name in ("keys", "values"):
        turned = given[name].transpose(1, 3).contiguous().transpose(1, 3)
        with pytest.raises(ValueError, match=f"{name} .*last stride 1"):
            ragged_attention(**{**given, name: turned}, scale=0.3)


def test_the_operator_is_registered_as_pytorch_wants_it_and_captured_whole() -> None:
    given = inputs([1], [17])
    torch.library.opcheck(torch.ops.bbkernels.ragged_attention.default, (*given.values(), torch.zeros(4), 0.3, 7, None))
    compiled = torch.compile(ragged_attention, fullgraph=True, backend="eager")
    assert torch.equal(compiled(**given, scale=0.3, window=7), ragged_attention(**given, scale=0.3, window=7))


@pytest.mark.parametrize(("line", "wrong"), [mutant[1:] for mutant in MUTANTS], ids=[mutant[0] for mutant in MUTANTS])
def test_a_broken_kernel_is_caught(
    line: str, wrong: str, mutate: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate("ragged_attention", line, wrong)
    with pytest.raises(AssertionError):
        check_all(monkeypatch)


def test_what_catches_broken_kernels_lets_this_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    check_all(monkeypatch)


def check_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts and options, the whole without, and what windows leave before them."""
    given = inputs([2, 9], [46, 9])
    given["values"] = given["values"] + 3.0  # so that a wrong sum of weights shows
    compare(given, **OPTIONS["all"])
    without_parts(monkeypatch)
    compare(given)
    given["values"][given["table"][0, :2].long()] = torch.nan  # a window of 19 before position 44 begins behind them
    assert ragged_attention(**given, **{**PLAIN, "window": 19}).isfinite().all()


def test_programs_follow_from_shapes_and_fill_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET")
    h200 = {"architecture": 90, "multiprocessors": 132}
    for rows, heads, groups, size, capacity in ((1, 32, 8, 128, 8192), (1, 64, 8, 64, 131_072), (4, 28, 4, 128, 32_768)):
        cut = plan(rows, rows, heads, groups, size, capacity, torch.bfloat16, **h200)
        assert rows * groups * cut.splits >= 132
        assert cut.splits * cut.least * cut.block_keys <= capacity
    assert plan(2048, 8, 32, 8, 128, 4096, torch.bfloat16, **h200).splits == 1
    for rows, sequences in ((1, 1), (64, 64), (513, 7), (4096, 300)):
        for heads, groups in ((32, 8), (28, 4), (71, 1), (6, 6)):
            cut = plan(rows, sequences, heads, groups, 128, 131_072, torch.bfloat16, **h200)
            assert cut.block_rows * (heads // groups) <= cut.lanes
            assert cut.splits * 4 * rows * heads * 128 <= max(launch.MOST_PART_BYTES, 4 * rows * heads * 128)
