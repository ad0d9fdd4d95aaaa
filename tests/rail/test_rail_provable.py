"""What must be provable of host and rail, line by line of the model's specification."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from builderbrain.errors import CheckpointError, ConfigError, TapError
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import load_rail, rail_version, save_rail
from builderbrain.rail.gates import Gates
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import Memory
from tests.hosts.tiny_models import FAMILIES, random_tokens, save_model
from tests.rail.conftest import make_rail


@torch.no_grad()
def logits(pair: Pair, tokens: torch.Tensor, **arguments: object) -> torch.Tensor:
    return pair.logits(pair.forward(tokens, **arguments).fused)  # type: ignore[arg-type]


def test_gates_at_zero_give_the_logits_of_the_base_bit_for_bit(host: Host) -> None:
    tokens = random_tokens(2, 11)
    rail = make_rail(host, jitter=0.3, budget=0.0)
    assert torch.equal(logits(Pair(host, rail), tokens), logits(Pair(host, None), tokens))


def test_a_new_rail_changes_nothing_at_any_budget(host: Host) -> None:
    tokens = random_tokens(2, 11)
    assert torch.equal(logits(Pair(host, make_rail(host, budget=1.0)), tokens), logits(Pair(host, None), tokens))


def test_both_hold_on_a_4_bit_base(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="4-bit bases need bitsandbytes")
    from builderbrain.hosts.load import load_host

    quantised = load_host(str(save_model(FAMILIES["llama"](), tmp_path / "llama")), quantization="nf4")
    tokens = random_tokens(2, 11)
    alone = logits(Pair(quantised, None), tokens)
    assert torch.equal(logits(Pair(quantised, make_rail(quantised, jitter=0.3, budget=0.0)), tokens), alone)
    assert torch.equal(logits(Pair(quantised, make_rail(quantised, budget=1.0)), tokens), alone)


def test_a_trained_rail_does_change_the_logits(host: Host) -> None:
    tokens = random_tokens(2, 11)
    assert not torch.allclose(logits(Pair(host, make_rail(host, jitter=0.3)), tokens), logits(Pair(host, None), tokens))


def test_padding_changes_no_result(host: Host) -> None:
    pair = Pair(host, make_rail(host, jitter=0.3))
    tokens = random_tokens(2, 12)
    padded = pair.forward(tokens, lengths=torch.tensor([12, 7]))
    alone = pair.forward(tokens[1:, :7])
    torch.testing.assert_close(padded.fused[1:, :7], alone.fused, rtol=1e-4, atol=1e-4)
    rail = pair.rail
    assert rail is not None
    assert padded.rail is not None
    assert alone.rail is not None
    left = rail.read_policy(padded.rail.features, torch.tensor([12, 7]))
    right = rail.read_policy(alone.rail.features, torch.tensor([7]))
    torch.testing.assert_close(left.concept[1:], right.concept, rtol=1e-4, atol=1e-4)
    assert torch.isinf(left.span_start[1, :, 7:12]).all(), "a span may not start in the padding"


@pytest.mark.parametrize("piece", [1, 3])
def test_cached_decoding_equals_recomputation(host: Host, piece: int) -> None:
    pair = Pair(host, make_rail(host, jitter=0.3))
    tokens = random_tokens(2, 12)
    memory = Memory(tokens=torch.randn(2, 3, 24), lengths=torch.tensor([3, 1]))
    whole = logits(pair, tokens, memory=memory)
    cache = pair.new_cache()
    parts = [logits(pair, tokens[:, i : i + piece], cache=cache, memory=memory) for i in range(0, 12, piece)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)


def test_a_row_alone_equals_the_row_in_a_batch(host: Host) -> None:
    pair = Pair(host, make_rail(host, jitter=0.3))
    tokens = random_tokens(3, 9)
    torch.testing.assert_close(logits(pair, tokens)[1:2], logits(pair, tokens[1:2]), rtol=1e-4, atol=1e-4)


def test_two_builders_over_one_base_forward_give_what_each_gives_alone(llama: Host) -> None:
    tokens = random_tokens(2, 9)
    states = llama.forward(tokens)
    for seed in (1, 2):
        rail = make_rail(llama, seed=seed, jitter=0.3)
        with torch.no_grad():
            assert torch.equal(rail(states).fused, Pair(llama, rail).forward(tokens).fused)


def test_save_and_load_round_trip_bit_for_bit(llama: Host, tmp_path: Path) -> None:
    rail = make_rail(llama, jitter=0.3)
    save_rail(rail, tmp_path / "rail")
    loaded = load_rail(tmp_path / "rail")
    assert loaded.config == rail.config
    for name, tensor in rail.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert rail_version(loaded) == rail_version(rail)
    assert rail_version(make_rail(llama, jitter=0.31)) != rail_version(rail)


def test_a_torn_rail_is_refused(llama: Host, tmp_path: Path) -> None:
    save_rail(make_rail(llama), tmp_path / "rail")
    weights = tmp_path / "rail" / "rail.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="torn"):
        load_rail(tmp_path / "rail")
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        load_rail(tmp_path / "nowhere")


def test_the_budget_holds_whatever_the_optimiser_does(llama: Host) -> None:
    gates = Gates(make_rail(llama).config)
    optimizer = torch.optim.SGD(gates.parameters(), lr=50.0)
    generator = torch.Generator().manual_seed(0)
    for budget in (0.0, 0.05, 0.4, 1.0):
        gates.set_budget(budget)
        for _ in range(5):
            loss = (gates() * torch.randn(gates.share.shape, generator=generator)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            alpha = gates().detach()
            assert alpha.min() >= 0
            assert alpha.max() <= 1
            assert float(alpha.mean()) <= budget + 1e-6
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        gates.set_budget(1.5)


def test_the_budget_is_used_where_no_gate_is_capped(llama: Host) -> None:
    gates = Gates(make_rail(llama).config)
    gates.set_budget(0.2)
    with torch.no_grad():
        gates.share.add_(0.3 * torch.randn(gates.share.shape, generator=torch.Generator().manual_seed(0)))
    assert float(gates().mean().detach()) == pytest.approx(0.2, abs=1e-6)


def test_the_base_gets_no_gradient_and_its_states_hold_no_graph(llama: Host) -> None:
    pair = Pair(llama, make_rail(llama, jitter=0.3).train())
    output = pair.forward(random_tokens(2, 9))
    assert not output.states.taps[-1].requires_grad
    pair.logits(output.fused).square().mean().backward()
    model = llama.model  # type: ignore[attr-defined]
    assert all(parameter.grad is None for parameter in model.parameters())


def test_memory_beyond_its_length_is_invisible(llama: Host) -> None:
    pair = Pair(llama, make_rail(llama, jitter=0.3))
    tokens = random_tokens(1, 9)
    slots = torch.randn(1, 4, 24)
    other = copy.deepcopy(slots)
    other[:, 2:] += 5.0
    lengths = torch.tensor([2])
    first = logits(pair, tokens, memory=Memory(tokens=slots, lengths=lengths))
    assert torch.equal(first, logits(pair, tokens, memory=Memory(tokens=other, lengths=lengths)))
    assert not torch.equal(first, logits(pair, tokens)), "visible memory has an effect"


def test_ablating_a_skill_is_one_attribute_and_reaches_only_its_tokens(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    states = llama.forward(random_tokens(1, 9))
    with torch.no_grad():
        full = rail(states)
        used = int(full.choice.skill[0, 4])
        rail.ablated_skills = frozenset({used})
        without = rail(states)
    first = int((full.choice.skill[0] == used).nonzero()[0])
    taken = full.choice.skill == used
    assert torch.equal(without.fused[taken], states.taps[-1][taken]), "the base speaks where it was taken"
    assert torch.equal(without.choice.skill, full.choice.skill)
    assert torch.equal(without.fused[:, :first], full.fused[:, :first])
    assert not torch.equal(without.fused[:, first:], full.fused[:, first:])


def test_a_rail_for_other_taps_is_refused(llama: Host) -> None:
    from tests.rail.conftest import family_host

    rail = make_rail(llama)
    wrong = copy.deepcopy(rail)
    object.__setattr__(wrong.config, "tap_points", (0,))
    with pytest.raises(TapError, match="taps"):
        Pair(family_host("gpt2"), wrong)
