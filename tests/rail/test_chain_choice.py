"""Which chain is answered with: computed by hand where the most probable one is not the best answer."""

from __future__ import annotations

import math

from builderbrain.rail.chain_choice import Chain, most_agreeable


def chain(probability: float, *tools: str) -> Chain:
    return Chain(tools=tools, logprob=math.log(probability))


def test_a_chain_that_shares_with_several_others_beats_a_more_probable_one_that_stands_alone() -> None:
    alone, middle, longer = chain(0.4, "x", "y"), chain(0.3, "a", "b"), chain(0.3, "a", "b", "c")
    # alone: 0.4 * 2; middle: 0.3 * 2 + 0.3 * (4/5 + 2/3) = 1.04; longer the same: the first of equal ones.
    assert most_agreeable([alone, middle, longer]) is middle
    assert most_agreeable([alone, longer, middle]) is longer


def test_a_probable_enough_chain_is_the_answer() -> None:
    alone, middle, longer = chain(0.6, "x", "y"), chain(0.2, "a", "b"), chain(0.2, "a", "b", "c")
    assert most_agreeable([alone, middle, longer]) is alone
    assert most_agreeable([longer]) is longer


def test_the_order_of_tools_counts() -> None:
    onward, back, other = chain(0.35, "a", "b"), chain(0.34, "b", "a"), chain(0.31, "b", "a", "c")
    assert most_agreeable([onward, back, other]) is back


def test_single_tools_have_no_links_and_very_improbable_chains_do_no_harm() -> None:
    one = Chain(tools=("a",), logprob=-900.0)
    assert most_agreeable([one, Chain(tools=("b",), logprob=-2000.0)]) is one


def test_bonuses_of_tools_count_like_the_log_of_a_probability() -> None:
    first, second = chain(0.8, "a", "b"), chain(0.2, "c", "b")
    assert most_agreeable([first, second], {"c": math.log(3.9)}) is first
    assert most_agreeable([first, second], {"c": math.log(4.1)}) is second
    assert most_agreeable([first, second], {"c": math.log(4.1), "a": 0.1}) is first
    assert most_agreeable([first, second], {"b": 100.0, "z": 100.0}) is first
