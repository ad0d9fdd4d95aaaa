"""The reading head finds a name where it stands in the goal, stays there until the next one, and reads on from there."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from bbkernels.native import cpu_library
from builderbrain.rail import reading
from builderbrain.rail.cache import ReadingCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.reading import Reading, ReadingHead, literal_tokens
from tests.rail.conftest import family_host

QUOTE, LINE, AND = 90, 91, 92


def head() -> ReadingHead:
    torch.manual_seed(1)
    config = RailConfig(
        base_name="x",
        d_model=12,
        vocab_size=100,
        tap_points=(0,),
        width=8,
        reading_window=4,
        quote_tokens=(QUOTE,),
        line_tokens=(LINE,),
    )
    return ReadingHead(config)


def read(tokens: list[int], states: torch.Tensor | None = None) -> Reading:
    table = torch.randn(100, 12, generator=torch.Generator().manual_seed(0))
    row = torch.tensor([tokens])
    module = head()
    return module(row, module.project(table[row] if states is None else states), cache=None)


def places(tokens: list[int]) -> list[int]:
    return read(tokens).place[0].tolist()


def test_a_name_in_a_literal_moves_the_head_behind_it_and_nothing_else_does() -> None:
    #        0  1  2    3  4     5  6      7  8  9      10 11     12 13
    plan = [7, 8, AND, 9, LINE, 8, QUOTE, 7, 8, QUOTE, 7, QUOTE, 9, QUOTE]
    assert places(plan) == [0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 4, 4]


def test_the_longest_run_since_the_literal_began_wins() -> None:
    goal = [7, 5, AND, 7, 8, LINE]
    assert places([*goal, QUOTE, 7, 8])[-2:] == [1, 5]
    assert places([*goal, 8, 7, QUOTE, 5])[-1] == 2  # what stands before the literal plays no part


def test_of_two_equal_places_the_one_behind_the_literal_before_is_taken() -> None:
    goal = [6, 1, AND, 7, 1, LINE]
    assert places([*goal, QUOTE, 7, QUOTE, QUOTE, 1])[-1] == 5
    assert places([*goal, QUOTE, 6, QUOTE, QUOTE, 1])[-1] == 2
    assert places([*goal, QUOTE, 1, QUOTE, QUOTE, 6])[-1] == 1  # none behind it: the first of all


def test_a_copy_is_never_a_source() -> None:
    assert places([7, LINE, QUOTE, 7, QUOTE, QUOTE, 7])[-1] == 1


def test_a_literal_ends_with_its_line() -> None:
    assert places([7, QUOTE, 3, LINE, 7, 7, QUOTE, 7])[-4:] == [0, 0, 0, 1]


def test_what_comes_later_changes_nothing_and_what_follows_the_place_does() -> None:
    tokens = [7, 8, 9, 10, LINE, QUOTE, 7, 8, 2]
    states = torch.randn(1, len(tokens), 12)
    whole = read(tokens, states)
    torch.testing.assert_close(read(tokens[:7], states[:, :7]).read, whole.read[:, :7])
    changed = states.clone()
    changed[:, 2] += 1.0  # the token behind "7 8"
    other = read(tokens, changed).read
    assert not torch.allclose(other[:, 7], whole.read[:, 7])
    beyond = states.clone()
    beyond[:, 0] += 1.0  # before the place, once it has moved
    torch.testing.assert_close(read(tokens, beyond).read[:, 6:], whole.read[:, 6:])


def test_reading_token_by_token_is_the_same_for_every_row_of_a_batch() -> None:
    reading = head()
    tokens = torch.randint(0, 5, (6, 40), generator=torch.Generator().manual_seed(2))
    tokens = torch.where(tokens == 3, QUOTE, tokens)
    tokens[:, 11] = LINE
    states = reading.project(torch.randn(6, 40, 12))
    whole = reading(tokens, states, cache=None)
    assert len(whole.place.unique()) > 4
    cache = ReadingCache()
    cuts = [0, 5, 6, 9, 20, 21, 22, 40]
    parts = [reading(tokens[:, a:b], states[:, a:b], cache=cache) for a, b in pairwise(cuts)]
    torch.testing.assert_close(torch.cat([part.read for part in parts], 1), whole.read)
    assert torch.equal(torch.cat([part.place for part in parts], 1), whole.place)
    for row in range(6):
        alone = reading(tokens[row : row + 1], states[row : row + 1], cache=None)
        assert torch.equal(alone.place, whole.place[row : row + 1])


def test_quotes_and_line_breaks_are_found_in_a_vocabulary() -> None:
    tokenizer = family_host("llama").tokenizer
    quotes, lines = literal_tokens(tokenizer)
    assert {tokenizer.decode([i]) for i in quotes} >= {'"'}
    assert {tokenizer.decode([i]) for i in lines} >= {"\n"}


def test_what_stands_in_quotes_in_the_goal_can_be_read_like_anything_else() -> None:
    #        0  1      2  3    4      5     6      7  8    9
    goal = [7, QUOTE, 8, AND, 9, QUOTE, AND, 5, LINE]
    assert places([*goal, QUOTE, 8, AND, 9])[-3:] == [3, 4, 5]  # AND stands inside quotes first, and outside them later


def test_a_whole_copy_is_never_read_again_but_a_broken_one_may_be() -> None:
    goal = [7, 8, LINE]
    assert places([*goal, QUOTE, 8, QUOTE, QUOTE, 8])[-1] == 2
    assert places([*goal, QUOTE, 6, QUOTE, QUOTE, 6])[-1] == 5


@pytest.mark.parametrize("seed", range(20))
def test_the_native_library_finds_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if cpu_library() is None:
        pytest.skip("the native library was not built")
    draw = torch.Generator().manual_seed(seed)
    few = torch.tensor([1, 2, 3, QUOTE, QUOTE, LINE])  # few enough that runs are long and equal often
    tokens = few[torch.randint(0, len(few), (3, 60), generator=draw)]
    module, pieces = head(), torch.randn(3, 60, 16, generator=draw)
    native = module(tokens, pieces, cache=None)
    monkeypatch.setattr(reading, "native_library", lambda tensor: None)
    plain = module(tokens, pieces, cache=None)
    assert torch.equal(native.place, plain.place)
    assert torch.equal(native.read, plain.read)
