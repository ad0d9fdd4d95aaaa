"""Keys and values into their pages: the reference and the interpreted kernel, which move bits and compute nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bbkernels.page_write import write_pages
from tests.kernels.conftest import DTYPES

MUTANTS = [
    ("slot // page, slot % page", "slot // page, slot % page // 2"),
    ("& (slot >= 0) &", "& (slot >= -9) &"),
    ("(slot < places)", "(slot < places - 1)"),
    ("tl.program_id(1) * block_groups", "tl.program_id(1) * 0"),
    (
        "value_pages + target + group * value_page_head_stride + d, v",
        "value_pages + target + group * value_page_head_stride + d, k",
    ),
]


def inputs(dtype: torch.dtype = torch.float32, groups: int = 3, size: int = 20) -> dict[str, Tensor]:
    """Six rows for pages of 5 places, two of them left out; keys as an attention layer has them, head by head."""
    generator = torch.Generator().manual_seed(groups)
    keys, values = (torch.randn(groups, 6, size, generator=generator).to(dtype).transpose(0, 1) for _ in range(2))
    key_pages, value_pages = (torch.randn(4, 5, groups, size, generator=generator).to(dtype) for _ in range(2))
    slots = torch.tensor([19, -1, 0, 7, -1, 6])
    return {"keys": keys, "values": values, "key_pages": key_pages, "value_pages": value_pages, "slots": slots}


def check(given: dict[str, Tensor]) -> None:
    expected = {name: given[name].clone() for name in ("key_pages", "value_pages")}
    for row, slot in enumerate(given["slots"].tolist()):
        if slot >= 0:
            expected["key_pages"][slot // 5, slot % 5] = given["keys"][row]
            expected["value_pages"][slot // 5, slot % 5] = given["values"][row]
    write_pages(**given)
    for name, pages in expected.items():
        assert torch.equal(given[name], pages), name


@pytest.fixture(params=["reference", "kernel"])
def both(request: pytest.FixtureRequest) -> None:
    """What a CPU runs, and the kernel."""
    if request.param == "kernel":
        request.getfixturevalue("interpreted")


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float64])
@pytest.mark.parametrize(("groups", "size"), [(1, 1), (3, 20), (8, 64)])
def test_rows_are_where_their_slots_say(both: None, groups: int, size: int, dtype: torch.dtype) -> None:
    check(inputs(dtype, groups, size))


def test_heads_of_more_than_one_program(interpreted: None) -> None:
    check(inputs(groups=40, size=200))


def test_pages_of_any_strides_are_written_in_place(both: None) -> None:
    given = inputs()
    wide = torch.full((4, 2, 3, 5, 20), torch.nan)
    apart = wide[:, 0].transpose(1, 2)
    apart.copy_(given["key_pages"])
    check({**given, "key_pages": apart})
    assert wide[:, 1].isnan().all()


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(both: None, rows: int) -> None:
    given = inputs()
    check({**given, **{name: given[name][:rows] for name in ("keys", "values", "slots")}})


def test_the_operator_changes_the_pages_alone_and_is_captured_whole(both: None) -> None:
    given = inputs()
    torch.library.opcheck(torch.ops.bbkernels.page_write.default, tuple(given.values()))
    expected, given = given, inputs()
    write_pages(**expected)
    torch.compiler.reset()
    torch.compile(write_pages, fullgraph=True, backend="aot_eager")(**given)
    assert torch.equal(given["key_pages"], expected["key_pages"])
    assert torch.equal(given["value_pages"], expected["value_pages"])


def test_wrong_arguments_are_named() -> None:
    given = inputs()
    for change, words in (
        ({"slots": torch.tensor([0, 1, 2, 3, 4, 20])}, "slots below 20"),
        ({"slots": given["slots"][:5]}, "slots as"),
        ({"values": given["values"][:, :2]}, "values as"),
        ({"key_pages": given["key_pages"].double()}, "key_pages in the dtype of keys"),
        ({"value_pages": given["value_pages"][:3]}, "value_pages as"),
    ):
        with pytest.raises(ValueError, match=words):
            write_pages(**{**given, **change})


@pytest.mark.parametrize(("line", "wrong"), MUTANTS)
def test_a_broken_kernel_is_caught(line: str, wrong: str, mutate: Callable[[str, str, str], None]) -> None:
    mutate("page_write", line, wrong)
    with pytest.raises(AssertionError):
        check_with_a_guard()


def test_what_catches_broken_kernels_lets_this_one_pass(interpreted: None) -> None:
    check_with_a_guard()


def check_with_a_guard() -> None:
    """With room before the pages for what a broken kernel writes there."""
    given = inputs(groups=40, size=200)
    guarded = {name: torch.cat([torch.zeros(3, *given[name].shape[1:]), given[name]]) for name in ("key_pages", "value_pages")}
    check({**given, **{name: pages[3:] for name, pages in guarded.items()}})
    assert not any(pages[:3].any() for pages in guarded.values())
