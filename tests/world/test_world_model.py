"""The parts of the world model against cases worked by hand, and what imagining, saving and the gate promise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.train.world.objective import balanced_kl, kl_divergence
from builderbrain.world.checkpoint import WEIGHTS_NAME, load_world, save_world
from builderbrain.world.decision import ACTS, DECISION_DOMAINS, decision_domain
from builderbrain.world.encoding import ACTIONS, FIELDS, LISTEN, RESULT_FIELDS, action_number, observe, start_state
from builderbrain.world.gate import AskGate
from builderbrain.world.latent import probabilities, sample_straight_through
from builderbrain.world.model import State, WorldConfig, WorldModel

SMALL = WorldConfig(width=8, classes=4, hidden=8)


def world(config: WorldConfig = SMALL, seed: int = 0) -> WorldModel:
    torch.manual_seed(seed)
    return WorldModel(config).eval()


def latent(*probability: float) -> Tensor:
    return torch.tensor(probability).reshape(1, -1)


def test_the_balanced_kl_of_a_case_worked_by_hand() -> None:
    """q = (3/4, 1/4), p = (1/2, 1/2): KL(q || p) = ln 2 - H(q) = 0.130812 nats, in both halves."""
    q, p = latent(0.75, 0.25), latent(0.5, 0.5)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert expected == pytest.approx(0.130812, abs=1e-6)
    assert float(kl_divergence(q, p)) == pytest.approx(expected, abs=1e-6)
    balanced = balanced_kl(q, p, dynamics=1.0, representation=0.1, free_nats=0.0)
    assert float(balanced) == pytest.approx(1.1 * expected, abs=1e-6)


def test_groups_of_a_latent_add_up() -> None:
    q = torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    p = torch.tensor([[0.5, 0.5], [0.75, 0.25]])
    each = [float(kl_divergence(q[group : group + 1], p[group : group + 1])) for group in range(2)]
    assert float(kl_divergence(q, p)) == pytest.approx(sum(each), abs=1e-6)


def test_each_half_of_the_balanced_kl_moves_its_own_side() -> None:
    """d/dp KL(sg(q) || p) = -q / p and d/dq KL(q || sg(p)) = ln(q / p) + 1, each times its weight."""
    q, p = latent(0.75, 0.25).requires_grad_(), latent(0.5, 0.5).requires_grad_()
    balanced_kl(q, p, dynamics=0.8, representation=0.2, free_nats=0.0).sum().backward()
    assert q.grad is not None
    assert p.grad is not None
    torch.testing.assert_close(p.grad, 0.8 * latent(-1.5, -0.5))
    torch.testing.assert_close(q.grad, 0.2 * latent(math.log(1.5) + 1, math.log(0.5) + 1))


def test_below_the_free_nats_the_value_is_theirs_and_nothing_moves() -> None:
    q, p = latent(0.75, 0.25).requires_grad_(), latent(0.5, 0.5).requires_grad_()
    loss = balanced_kl(q, p, dynamics=1.0, representation=0.1, free_nats=0.2).sum()
    assert loss.item() == pytest.approx(1.1 * 0.2)
    loss.backward()
    assert q.grad is not None
    assert p.grad is not None
    assert not q.grad.any()
    assert not p.grad.any()


def test_a_share_of_the_mass_is_spread_evenly() -> None:
    given = probabilities(torch.tensor([100.0, 0.0, 0.0, 0.0]), uniform=0.01)
    torch.testing.assert_close(given, torch.tensor([0.9925, 0.0025, 0.0025, 0.0025]))


def test_a_sample_is_one_hot_going_forward_and_has_the_gradient_of_the_probabilities() -> None:
    probability = torch.tensor([0.2, 0.5, 0.3], requires_grad=True)
    drawn = sample_straight_through(probability, torch.tensor(0.6))  # 0.2 <= 0.6 < 0.7: the second class
    torch.testing.assert_close(drawn.detach(), torch.tensor([0.0, 1.0, 0.0]))
    weights = torch.tensor([3.0, -1.0, 7.0])
    (drawn * weights).sum().backward()
    torch.testing.assert_close(probability.grad, weights)


def test_samples_come_as_often_as_their_probability() -> None:
    probability = torch.tensor([0.1, 0.0, 0.6, 0.3])
    noise = (torch.arange(1000) + 0.5) / 1000
    counts = sample_straight_through(probability.expand(1000, 4), noise).sum(0)
    torch.testing.assert_close(counts, 1000 * probability, atol=1.0, rtol=0)


def test_a_state_delta_says_what_a_step_changed() -> None:
    start = start_state()
    asked = {**start, "requests": 1, "cue": "guess", "hint": "src/a.py"}
    found = {**asked, "found": {"search": ["src/b.py"]}}
    acted = {**found, "outcomes": [False]}

    def values(tool: str, before: dict[str, object], after: dict[str, object], *, ok: bool = True) -> dict[str, str]:
        seen = observe("repo_assistant", tool, ok=ok, before=before, after=after)
        return {name: FIELDS[name][value] for name, value in zip(FIELDS, seen, strict=True) if value}

    assert values(LISTEN, start, asked) == {"asked": "repo_assistant/guess"}
    assert values("search", asked, found) == {"call": "ok", "found": "1", "agrees": "no"}
    assert values("search", asked, {**asked, "found": {"search": ["src/a.py", "x"]}}) == {
        "call": "ok",
        "found": "2+",
        "agrees": "yes",
    }
    assert values("search", asked, {**asked, "found": {"search": []}}) == {"call": "ok", "found": "0", "agrees": "no"}
    assert values("read", asked, asked, ok=False) == {"call": "failed"}
    assert values("confirm", found, acted) == {"outcome": "bad"}


def test_every_domain_has_a_utility_for_every_act_and_no_act_is_best_for_every_kind() -> None:
    for domain in DECISION_DOMAINS:
        assert all(len(row) == len(ACTS) for row in domain.utilities.values())
        best = {max(ACTS, key=lambda act: domain.utility(kind, act)) for kind in domain.utilities}
        assert len(best) == len(domain.utilities)
        assert all(0 < cost < 1 for cost in domain.costs.values())
        assert all(action_number(domain.name, tool) for tool in domain.costs)


@pytest.mark.parametrize("groups", [1, 2])
def test_imagining_with_equal_noise_gives_equal_states_and_a_longer_rollout_begins_with_the_shorter(groups: int) -> None:
    model = world(replace(SMALL, groups=groups))
    generator = torch.Generator().manual_seed(1)
    noise = torch.rand(15, 3, groups, generator=generator)
    actions = [torch.randint(len(ACTIONS), (3,), generator=generator) for _ in range(15)]
    long = model.imagine(model.start(3), actions, noise)
    short = model.imagine(model.start(3), actions[:5], noise[:5])
    assert len(long) == 15
    for first, second in zip(short, long, strict=False):
        assert torch.equal(first.hidden, second.hidden)
        assert torch.equal(first.latent, second.latent)
    assert long[-1].latent.shape == (3, groups, 4)


def test_expectations_over_one_group_are_exact_and_draws_of_two_come_close() -> None:
    model = world().requires_grad_(False)
    hidden = torch.randn(2, 8, generator=torch.Generator().manual_seed(5))
    weights, support = model.support(hidden, torch.zeros(1, 2, 1))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2))
    exact = (weights * model.reward(support)).sum(-1)
    by_hand = [
        sum(
            float(model.prior(hidden)[row, 0, k]) * float(model.reward(State(hidden[row], torch.eye(4)[k : k + 1])))
            for k in range(4)
        )
        for row in range(2)
    ]
    torch.testing.assert_close(exact, torch.tensor(by_hand))
    double = world(replace(SMALL, groups=2))
    draws, drawn = double.support(hidden, torch.rand(4000, 2, 2, generator=torch.Generator().manual_seed(0)))
    prior = double.prior(hidden)
    pairs = [(i, j) for i in range(4) for j in range(4)]
    eye = torch.eye(4)
    whole = sum(
        prior[:, 0, i] * prior[:, 1, j] * double.reward(State(hidden, torch.stack([eye[i], eye[j]]).expand(2, 2, 4)))
        for i, j in pairs
    )
    torch.testing.assert_close((draws * double.reward(drawn)).sum(-1), whole, atol=0.02, rtol=0)  # type: ignore[arg-type]


def test_what_a_result_may_say_is_a_distribution_over_all_its_combinations() -> None:
    gate = AskGate(world())
    belief = gate.believe([])
    assert belief.weights.tolist() == [1.0]  # nothing was drawn yet, so all particles are one
    table = gate.result_probabilities(gate.world.start(4))
    combinations = math.prod(len(FIELDS[name]) for name in RESULT_FIELDS)
    assert table.shape == (4, combinations)
    torch.testing.assert_close(table.sum(-1), torch.ones(4))


def test_the_gate_asks_exactly_when_the_answer_is_worth_more_than_it_costs() -> None:
    domain = decision_domain("repo_assistant")
    asked = observe(
        domain.name, LISTEN, ok=True, before=start_state(), after={**start_state(), "requests": 1, "cue": "guess", "hint": "a"}
    )
    history = [(action_number(domain.name, LISTEN), asked)]
    gate = AskGate(world(seed=3))
    verdict = gate.ask(domain, history)
    assert verdict.act == max(verdict.utilities, key=lambda act: verdict.utilities[act])
    assert all(worth.gross >= 0 for worth in verdict.worth.values())
    assert gate.ask(domain, history, scale=1e6).tool is None
    free = gate.ask(domain, history, scale=0.0)
    assert (free.tool is None) == all(worth.gross <= 0 for worth in free.worth.values())
    assert set(gate.ask(domain, history, without=["search"]).worth) == {"list", "read"}
    assert gate.ask(domain, history) == verdict


def test_a_saved_model_is_read_back_bit_for_bit_and_damage_is_refused(tmp_path: Path) -> None:
    model = world()
    save_world(model, tmp_path / "world")
    again = load_world(tmp_path / "world")
    assert again.config == model.config
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in again.state_dict().items())
    weights = tmp_path / "world" / WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="torn"):
        load_world(tmp_path / "world")


def test_a_model_of_other_actions_is_refused(tmp_path: Path) -> None:
    save_world(world(replace(SMALL, actions=(*ACTIONS, "fly"))), tmp_path / "world")
    with pytest.raises(ConfigError, match="train it again"):
        load_world(tmp_path / "world")
