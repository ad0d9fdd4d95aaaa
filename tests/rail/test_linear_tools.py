"""The linear part of a chain head: which phrases it tells apart, and what its answers do to the choice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.hosts.base import Host
from builderbrain.rail.chain_choice import most_agreeable
from builderbrain.rail.chain_head import ChainHead
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.letters import Spelled, spell, token_letters
from builderbrain.rail.linear_tools import LinearTools, phrase_counts
from builderbrain.rail.rail import BuilderRail
from tests.rail.conftest import make_rail
from tests.rail.test_chain_head import TEXTS, TOOLS, make_head, prompts

SLOTS = 1 << 20
"""So many that phrases of a few words do not meet."""


def spelled(host: Host, *texts: str) -> Spelled:
    return spell(*prompts(host, *texts), token_letters(host.tokenizer))


def test_phrases_are_words_runs_of_two_and_three_and_the_letters_of_each_word(llama: Host) -> None:
    counts = phrase_counts(spelled(llama, "the cat the cat"), SLOTS)[0]
    # "<the>" and "<cat>": 3 of three letters, 2 of four, 1 of five each. In a row: the cat, cat the, the cat cat the.
    assert sorted(counts[counts > 0].tolist()) == [1.0] * (12 + 1 + 2) + [2.0] * (2 + 1)


def test_the_order_of_words_tells_apart_and_case_does_not(llama: Host) -> None:
    one, same, turned = phrase_counts(spelled(llama, "play the blue song", "PLAY the Blue song", "song blue the play"), SLOTS)
    assert one.equal(same)
    # Four words alike, all their letters too; three pairs and two triples of each are not.
    assert int(((one > 0) & (turned == 0)).sum()) == int(((turned > 0) & (one == 0)).sum()) == 3 + 2


def test_rows_of_a_batch_do_not_change_one_another(llama: Host) -> None:
    together = phrase_counts(spelled(llama, *TEXTS), 64)
    for row, text in enumerate(TEXTS):
        assert together[row].equal(phrase_counts(spelled(llama, text), 64)[0])


def test_features_have_length_one_and_nothing_is_said_of_nothing(llama: Host) -> None:
    linear = LinearTools(64, 3)
    assert linear(spelled(llama, *TEXTS)).tolist() == [[0.0] * 3] * 3
    linear.inverse.uniform_(0.1, 2.0)
    assert linear.features(spelled(llama, *TEXTS)).norm(dim=-1).tolist() == pytest.approx([1.0] * 3, abs=1e-5)


def with_linear(host: Host, tool: str, score: float) -> ChainHead:
    """A head whose linear part says `score` of one tool for whatever prompt, and what changes nothing of the others."""
    head = make_head(host, linear=64)
    said = torch.full((len(TOOLS),), 0.35)
    said[TOOLS.index(tool)] = score
    head.linear.forward = lambda spelled: said.expand(len(spelled.real), -1)  # type: ignore[union-attr, method-assign]
    return head


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_that_is_spoken_for_is_said_and_one_that_is_not_is_left_out(llama: Host, tool: str) -> None:
    asked = prompts(llama, *TEXTS)
    candidates = make_head(llama).candidates(None, *asked)
    wanted = [chain.tools for chain in with_linear(llama, tool, 20.0).chains(None, *asked)]
    unwanted = [chain.tools for chain in with_linear(llama, tool, -20.0).chains(None, *asked)]
    for found, likes, dislikes in zip(candidates, wanted, unwanted, strict=True):
        having = [tool in chain.tools for chain in found]
        assert (tool in likes) == any(having)
        assert (tool in dislikes) == all(having)


def test_a_linear_part_that_is_undecided_changes_nothing_and_probabilities_stay_those_of_the_readers(llama: Host) -> None:
    asked = prompts(llama, *TEXTS)
    plain = make_head(llama)
    assert with_linear(llama, "find", 0.35).chains(None, *asked) == plain.chains(None, *asked)
    known = [{chain.tools: chain.logprob for chain in found} for found in plain.candidates(None, *asked)]
    for found, chain in zip(known, with_linear(llama, "find", 20.0).chains(None, *asked), strict=True):
        assert chain.logprob == found[chain.tools]


@pytest.mark.parametrize(("others", "weight"), [(0, 4), (1, 1), (3, 1)])
def test_beside_several_readers_it_weighs_less(llama: Host, others: int, weight: int) -> None:
    head = make_head(llama, linear=64, others=others)
    torch.manual_seed(1)
    head.linear.inverse.fill_(1.0)
    head.linear.weights.normal_()
    asked = prompts(llama, *TEXTS)
    scores = head.linear(spelled(llama, *TEXTS)).tolist()
    for found, row, chain in zip(head.candidates(None, *asked), scores, head.chains(None, *asked), strict=True):
        bonus = {tool: weight * (score - 0.35) for tool, score in zip(TOOLS, row, strict=True)}
        assert chain == most_agreeable(found, bonus)


def test_a_saved_rail_keeps_it_and_a_rail_without_one_says_nothing_of_it(llama: Host, tmp_path: Path) -> None:
    plain = replace(make_rail(llama).config, chain_width=8, chain_slots=16, chain_links=((0, 1),))
    assert "chain_linear" not in plain.to_json()
    save_rail(BuilderRail(plain).eval(), tmp_path / "old")
    assert load_rail(tmp_path / "old").chain.linear is None
    rail = BuilderRail(replace(plain, chain_linear=32)).eval()
    rail.chain.letters.copy_(token_letters(llama.tokenizer))
    rail.chain.linear.weights.normal_()
    rail.chain.linear.inverse.uniform_()
    save_rail(rail, tmp_path / "rail")
    again = load_rail(tmp_path / "rail")
    assert again.config == rail.config
    assert again.chain.linear(spelled(llama, *TEXTS)).equal(rail.chain.linear(spelled(llama, *TEXTS)))
    assert again.chain.chains(None, *prompts(llama, *TEXTS)) == rail.chain.chains(None, *prompts(llama, *TEXTS))
