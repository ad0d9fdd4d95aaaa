"""The chain head: legal chains whatever its weights, rows that do not depend on one another, rails without one as they were."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
import torch

from builderbrain.errors import ConfigError
from builderbrain.hosts.base import Host
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.chain_head import ChainHead
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.letters import spell, token_letters
from builderbrain.rail.rail import BuilderRail
from tests.rail.conftest import make_rail

TOOLS = ("find", "play", "stop", "louder", "alone")
LINKS = ((0, 1), (1, 2), (3, 1), (2, 0), (1, 1))


def make_head(
    host: Host, *, seed: int = 0, base: bool = False, others: int = 0, linear: int = 0, evidence: bool = True
) -> ChainHead:
    config = RailConfig(
        base_name="x", d_model=host.d_model, vocab_size=host.tokenizer.vocab_size, tap_points=host.tap_points, width=12,
        intents=("a",), actions=TOOLS, chain_width=16, chain_slots=64, chain_base=base, chain_links=LINKS, max_actions=4,
        chain_others=others, chain_linear=linear, chain_evidence=evidence,
    )  # fmt: skip
    torch.manual_seed(seed)
    head = ChainHead(config).eval()
    head.letters.copy_(token_letters(host.tokenizer))
    return head


def prompts(host: Host, *texts: str) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [host.tokenizer.encode(text) for text in texts]
    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for at, row in enumerate(rows):
        tokens[at, : len(row)] = torch.tensor(row)
    return tokens, torch.tensor([len(row) for row in rows])


TEXTS = ("find the blue song and play it", "stop", "louder! and then play it, please, and stop at 6")


@pytest.mark.parametrize("seed", range(8))
def test_chains_follow_the_links_and_repeat_no_tool(llama: Host, seed: int) -> None:
    head = make_head(llama, seed=seed)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(4.0)
    for chain in head.chains(None, *prompts(llama, *TEXTS)):
        assert 1 <= len(chain.tools) <= 4
        assert len(set(chain.tools)) == len(chain.tools)
        numbers = [TOOLS.index(tool) for tool in chain.tools]
        assert all(pair in LINKS for pair in pairwise(numbers))


def test_a_wide_beam_finds_the_most_probable_of_all_chains(llama: Host) -> None:
    head = make_head(llama, seed=3)
    tokens, lengths = prompts(llama, TEXTS[0])
    best = -torch.inf
    for size in range(1, 5):
        for chain in product(range(1, 6), repeat=size):
            legal = all((a - 1, b - 1) in LINKS for a, b in pairwise(chain)) and len(set(chain)) == size
            if legal:
                best = max(best, logprob(head, tokens, lengths, chain))
    assert head.candidates(None, tokens, lengths, beam=64)[0][0].logprob == pytest.approx(best, abs=1e-4)


def test_candidates_are_in_order_and_each_has_its_own_probability(llama: Host) -> None:
    head = make_head(llama, seed=2)
    for text in TEXTS:
        tokens, lengths = prompts(llama, text)
        found = head.candidates(None, tokens, lengths)[0]
        assert len({chain.tools for chain in found}) == len(found) == 8
        assert [chain.logprob for chain in found] == sorted((chain.logprob for chain in found), reverse=True)
        for chain in found:
            options = tuple(1 + TOOLS.index(tool) for tool in chain.tools)
            assert chain.logprob == pytest.approx(logprob(head, tokens, lengths, options), abs=1e-4)


def test_a_tool_is_asked_for_by_the_words_that_its_own_query_finds(llama: Host) -> None:
    head = make_head(llama)
    assert head.evidence is not None
    words = torch.zeros(1, 3, 16)
    words[0, 1, 0] = 1.0
    with torch.no_grad():
        for parameter in head.evidence.parameters():
            parameter.zero_()
        head.evidence.query[2, 0] = 100.0
        head.evidence.value.weight[0, 0] = 1.0
        head.evidence.score[:, 0] = 1.0
    real = torch.tensor([[True, True, False]])
    found = head.evidence(words, real)
    assert found[0, 2].item() == pytest.approx(1.0)
    torch.testing.assert_close(found[0, [0, 1, 3, 4, 5]], torch.full((5,), 0.5))


def test_a_head_without_evidence_is_one_as_before(llama: Host) -> None:
    head = make_head(llama, evidence=False)
    assert head.evidence is None
    assert not any("evidence" in name for name in head.state_dict())
    tokens, lengths = prompts(llama, *TEXTS)
    scores = head(None, tokens, lengths, torch.zeros(3, 1, dtype=torch.int64))
    torch.testing.assert_close(scores.tools, head.asked(head.read(spell(tokens, lengths, head.letters), None).whole))


def test_several_readers_say_the_mean_of_their_probabilities(llama: Host) -> None:
    head = make_head(llama, others=2)
    tokens, lengths = prompts(llama, TEXTS[0])
    given = torch.tensor([[0, 1, 2]])
    with torch.no_grad():
        steps = [head(None, tokens, lengths, given, reader=number).steps[0] for number in range(3)]
    legal = head.legal[given[0]].clone()
    legal[1, 1] = legal[2, 1] = legal[2, 2] = False
    mean = torch.stack([step.masked_fill(~legal, -torch.inf).softmax(-1) for step in steps]).mean(0)
    expected = float(mean[0, 1].log() + mean[1, 2].log() + mean[2, 0].log())
    found = {chain.tools: chain.logprob for chain in head.candidates(None, tokens, lengths, beam=64)[0]}
    assert found["find", "play"] == pytest.approx(expected, abs=1e-4)


def test_dropped_values_are_the_given_share_and_the_mean_stays(llama: Host) -> None:
    head = make_head(llama).train()
    head.dropout = 0.4
    torch.manual_seed(0)
    dropped = head._drop(torch.ones(1000, 37))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.4, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    assert head.eval()._drop(dropped) is dropped


def logprob(head: ChainHead, tokens: torch.Tensor, lengths: torch.Tensor, chain: tuple[int, ...]) -> float:
    with torch.no_grad():
        steps = head(None, tokens, lengths, torch.tensor([[0, *chain]])).steps[0]
    total, said = 0.0, [0, *chain]
    for at, option in enumerate((*chain, 0)):
        legal = head.legal[said[at]].clone()
        legal[[tool for tool in said[: at + 1] if tool]] = False
        if at == head.longest:
            legal[1:] = False
        total += float(steps[at].masked_fill(~legal, -torch.inf).log_softmax(-1)[option])
    return total


@pytest.mark.parametrize("base", [False, True])
def test_padding_and_other_rows_change_nothing(llama: Host, base: bool) -> None:
    head = make_head(llama, base=base)
    tokens, lengths = prompts(llama, *TEXTS)
    given = torch.tensor([[0, 1, 2]] * len(TEXTS))
    with torch.no_grad():
        states = llama.forward(tokens, lengths=lengths) if base else None
        together = head(states, tokens, lengths, given)
        for row, text in enumerate(TEXTS):
            mine = prompts(llama, text)
            alone = head(llama.forward(mine[0]) if base else None, *mine, given[:1])
            assert torch.allclose(alone.steps[0], together.steps[row], atol=1e-4)
            assert torch.allclose(alone.tools[0], together.tools[row], atol=1e-4)


@pytest.mark.parametrize("others", [0, 2])
def test_a_saved_rail_answers_the_same(llama: Host, tmp_path: Path, others: int) -> None:
    config = replace(make_rail(llama).config, chain_width=8, chain_slots=16, chain_links=((0, 1),), chain_others=others)
    rail = BuilderRail(config).eval()
    assert rail.chain is not None
    rail.chain.letters.copy_(torch.randint(0, 99, rail.chain.letters.shape))
    save_rail(rail, tmp_path / "rail")
    again = load_rail(tmp_path / "rail")
    assert again.config == config
    asked = prompts(llama, *TEXTS)
    assert again.chain.chains(None, *asked) == rail.chain.chains(None, *asked)


def test_rails_without_a_chain_head_say_nothing_of_it(llama: Host) -> None:
    assert not any(key.startswith("chain") for key in make_rail(llama).config.to_json())
    assert load_rail(BUNDLED_RAIL).chain is None


@pytest.mark.parametrize("wrong", [{"chain_width": 7}, {"chain_slots": 0}, {"chain_links": ((0, 2),)}, {"actions": ()}])
def test_sizes_and_links_must_fit(llama: Host, wrong: dict[str, object]) -> None:
    shape = {"chain_width": 8, "chain_slots": 16, "chain_links": ((0, 1),)} | wrong
    with pytest.raises(ConfigError, match=r"rail\.chain"):
        replace(make_rail(llama).config, **shape)
