"""A policy trained in imagination: closed-form optima under a budget of KL, returns by hand, runs that resume bit-equal."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from builderbrain.config import load_config
from builderbrain.errors import CheckpointError, ConfigError, DeadGradientError
from builderbrain.train.duals import Dual
from builderbrain.train.imagination import command
from builderbrain.train.imagination.config import (
    BehaviourSection,
    ImprovementSection,
    PolicyTrainConfig,
    PolicyWatchSection,
)
from builderbrain.train.imagination.episodes import Episodes, draw_actions, imagine_requests, lambda_returns
from builderbrain.train.imagination.improvement import judge, policy_loss
from builderbrain.train.imagination.starts import COSTS, IS_ACT, MAX_DECISIONS, allowed_actions, read_sessions
from builderbrain.train.imagination.trainer import PolicyTrainer
from builderbrain.train.imagination.watch import PolicyReading
from builderbrain.train.world import decisions
from builderbrain.train.world.sequences import to_sequences
from builderbrain.train.world.sessions import decision_traces
from builderbrain.world.checkpoint import load_policy, save_world
from builderbrain.world.decision import ACTS, DECISION_DOMAINS, decision_domain
from builderbrain.world.encoding import ACTIONS, LISTEN
from builderbrain.world.gate import AskGate
from builderbrain.world.model import WorldConfig, WorldModel
from builderbrain.world.policy import Policy, PolicyConfig, features, reverse_kl

SMALL = (
    "steps=12", "clone_steps=5", "batch_size=16", "evaluation_every=6", "checkpoint_every=4", "tensorboard=never",
    "held_out=0.25", "hidden=8", "watch.requests=32",
)  # fmt: skip


def small_world() -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(WorldConfig(width=8, classes=4, hidden=8)).eval()


def tabular(states: int, actions: int, *, prior: Tensor) -> Policy:
    """A policy over one-hot states whose behaviour prior is `prior` [actions] everywhere and which starts there."""
    torch.manual_seed(0)
    names = tuple(str(number) for number in range(actions))
    policy = Policy(PolicyConfig(features=states, hidden=16, world="", actions=names))
    with torch.no_grad():
        policy.behaviour[2].weight.zero_()
        policy.behaviour[2].bias.copy_(prior.log())
    policy.actor.load_state_dict(policy.behaviour.state_dict())
    return policy


def one_decision(policy: Policy, utility: Tensor, rows: int, generator: torch.Generator) -> Episodes:
    """A bandit: one state, one decision."""
    seen = torch.ones(1, rows, 1)
    allowed = torch.ones(1, rows, len(utility), dtype=torch.bool)
    with torch.no_grad():
        log_policy = policy.log_probabilities(seen, allowed)
        divergence = reverse_kl(log_policy, policy.behaviour_log_probabilities(seen, allowed))
        actions = draw_actions(log_policy, torch.rand(1, rows, generator=generator))
    return Episodes(
        features=seen, allowed=allowed, actions=actions, divergence=divergence, rewards=utility[actions],
        log_probability=log_policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1),
        present=torch.ones(1, rows, dtype=torch.bool),
    )  # fmt: skip


def tilted(prior: Tensor, utility: Tensor, price: float) -> Tensor:
    """pi* = pi0 exp(Q / p) / Z."""
    return (prior.log() + utility / price).softmax(-1)


def price_of(prior: Tensor, utility: Tensor, budget: float) -> float:
    """The price at which the tilted distribution spends the budget, by bisection: KL falls as the price rises."""
    low, high = 1e-3, 1e3
    for _ in range(200):
        middle = math.sqrt(low * high)
        best = tilted(prior, utility, middle)
        low, high = (middle, high) if float((best * (best / prior).log()).sum()) > budget else (low, middle)
    return math.sqrt(low * high)


def test_a_bandit_under_a_budget_of_kl_ends_at_the_tilted_prior_and_the_dual_at_its_price() -> None:
    """max E[Q] with KL(pi || pi0) <= 0.3 has pi* = pi0 exp(Q / p*) / Z, and the multiplier is p*."""
    prior, utility = torch.tensor([0.4, 0.3, 0.2, 0.1]), torch.tensor([0.0, 0.2, 0.5, 1.0])
    budget = 0.3
    price = price_of(prior, utility, budget)
    policy = tabular(1, 4, prior=prior)
    dual = Dual(BehaviourSection(target=budget, eta=0.02, kappa=0.2))
    section = ImprovementSection(passes=2)
    optimizer = torch.optim.Adam([*policy.actor.parameters(), *policy.critic.parameters()], lr=5e-3)
    generator = torch.Generator().manual_seed(0)
    seen, averaged, prices = [], torch.zeros(4), []
    for step in range(450):
        episodes = one_decision(policy, utility, 256, generator)
        judged = judge(policy, episodes, price=dual.weight, decay=1.0)
        for _ in range(section.passes):
            optimizer.zero_grad()
            policy_loss(policy, episodes, judged, section, price=dual.weight).total.backward()
            optimizer.step()
        dual.update(float(episodes.spent.mean()))
        if step >= 300:
            averaged += policy.log_probabilities(torch.ones(1), torch.ones(4, dtype=torch.bool)).exp().detach() / 150
            seen.append(float(episodes.spent.mean()))
            prices.append(dual.value)
    assert sum(seen) / len(seen) == pytest.approx(budget, abs=0.03)
    assert sum(prices) / len(prices) == pytest.approx(price, rel=0.1)
    torch.testing.assert_close(averaged, tilted(prior, utility, price), atol=0.03, rtol=0.0)


def test_two_decisions_at_a_fixed_price_have_the_soft_optimum() -> None:
    """State 0: act for 0.1, or call for -0.05 and learn which of two acts pays 1 (states 1, 2; the other costs 1).

    V(1) = V(2) = p log(pi0(left) e^(1/p) + pi0(right) e^(-1/p)), and pi*(call | 0) weighs it against the act: a policy that
    ignored the nats still to be spent after the call would call more often.
    """
    prior, price, cost, act = torch.tensor([0.25, 0.5, 0.25]), 0.7, 0.05, 0.1  # call or stay, left, right
    after = price * math.log(float((prior[1:] / prior[1:].sum() * torch.tensor([1.0, -1.0]).div(price).exp()).sum()))
    other = price * math.log(float((prior[1:] / prior[1:].sum() * torch.tensor([-1.0, 1.0]).div(price).exp()).sum()))
    values = torch.tensor([-cost + 0.5 * (after + other), act, act])
    expected = tilted(prior, values, price)
    table = torch.tensor([[0.0, act, act], [0.0, 1.0, -1.0], [0.0, -1.0, 1.0]])
    policy = tabular(3, 3, prior=prior)
    section = ImprovementSection(passes=2)
    optimizer = torch.optim.Adam([*policy.actor.parameters(), *policy.critic.parameters()], lr=5e-3)
    generator = torch.Generator().manual_seed(1)
    first, averaged = torch.tensor([True, True, True]), torch.zeros(3)
    rows = 256
    for step in range(450):
        state, present = torch.zeros(rows, dtype=torch.int64), torch.ones(rows, dtype=torch.bool)
        columns: list[tuple[Tensor, ...]] = []
        for decision in range(2):
            seen = torch.nn.functional.one_hot(state, 3).float()
            allowed = torch.tensor([decision == 0, True, True]).expand(rows, 3)
            with torch.no_grad():
                log_policy = policy.log_probabilities(seen, allowed)
                divergence = reverse_kl(log_policy, policy.behaviour_log_probabilities(seen, allowed))
            actions = draw_actions(log_policy, torch.rand(rows, generator=generator))
            rewards = torch.where(actions == 0, -cost, table[state, actions])
            picked = log_policy.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
            columns.append((seen, allowed, actions, picked, divergence * present, rewards * present, present))
            present = present & (actions == 0)
            state = 1 + (torch.rand(rows, generator=generator) < 0.5).long()
        names = ("features", "allowed", "actions", "log_probability", "divergence", "rewards", "present")
        episodes = Episodes(
            **{name: torch.stack(column) for name, column in zip(names, zip(*columns, strict=True), strict=True)}
        )
        judged = judge(policy, episodes, price=price, decay=0.95)
        for _ in range(section.passes):
            optimizer.zero_grad()
            policy_loss(policy, episodes, judged, section, price=price).total.backward()
            optimizer.step()
        if step >= 300:
            averaged += policy.log_probabilities(torch.eye(3)[0], first).exp().detach() / 150
    torch.testing.assert_close(averaged, expected, atol=0.03, rtol=0.0)


def test_lambda_returns_by_hand() -> None:
    """Two decisions, then one: 1 + 0.5 * 10 + 0.5 * (2 + 0) = 7 and 2; the second request ends at once."""
    rewards = torch.tensor([[[1.0], [3.0]], [[2.0], [99.0]]])
    values = torch.tensor([[[5.0], [5.0]], [[10.0], [10.0]]])
    present = torch.tensor([[True, True], [True, False]])
    returns = lambda_returns(rewards, values, present, decay=0.5)
    assert returns.squeeze(-1).tolist() == [[7.0, 3.0], [2.0, 0.0]]
    monte_carlo = lambda_returns(rewards, values, present, decay=1.0)
    assert monte_carlo[0].squeeze(-1).tolist() == [3.0, 3.0]


def test_the_first_pass_is_the_policy_gradient_and_a_clipped_decision_pulls_no_further() -> None:
    policy = tabular(1, 3, prior=torch.tensor([0.5, 0.3, 0.2]))
    utility = torch.tensor([0.0, 1.0, -1.0])
    episodes = one_decision(policy, utility, 64, torch.Generator().manual_seed(0))
    judged = judge(policy, episodes, price=0.0, decay=1.0)
    loss = policy_loss(policy, episodes, judged, ImprovementSection(), price=0.0).actor
    log_policy = policy.log_probabilities(episodes.features, episodes.allowed).gather(-1, episodes.actions.unsqueeze(-1))
    plain = -(judged.advantages * log_policy.squeeze(-1)).sum(0).mean()
    actor = tuple(policy.actor.parameters())
    for first, second in zip(torch.autograd.grad(loss, actor), torch.autograd.grad(plain, actor), strict=True):
        torch.testing.assert_close(first, second)
    gained = replace(judged, advantages=torch.ones_like(judged.advantages))
    far = replace(episodes, log_probability=episodes.log_probability - 1.0)  # the ratio is e, clipped at 1.2
    clipped = torch.autograd.grad(
        policy_loss(policy, far, gained, ImprovementSection(), price=0.0).actor, actor, allow_unused=True
    )
    assert all(gradient is None or not gradient.any() for gradient in clipped)


def test_what_may_be_done_is_the_acts_and_the_tools_not_yet_called() -> None:
    sequences = to_sequences(list(decision_traces(sessions=8, seed=0)))
    allowed = allowed_actions(sequences)
    for row in range(8):
        domain, called = DECISION_DOMAINS[row % len(DECISION_DOMAINS)], set()
        for step in range(int(sequences.present[row].sum())):
            name = ACTIONS[int(sequences.actions[row, step])]
            called = set() if name == LISTEN else called | {name}
            names = {f"{domain.name}.{tool}" for tool in domain.costs} - called | set(ACTS)
            if name not in ACTS:
                assert {ACTIONS[number] for number in allowed[row, step].nonzero().flatten().tolist()} == names


def test_imagined_requests_end_with_one_act_pay_for_each_tool_once_and_repeat_with_their_seed() -> None:
    world = small_world()
    starts, decided = read_sessions(world, to_sequences(list(decision_traces(sessions=12, seed=0))), seed=0)
    assert bool(decided.allowed.gather(-1, decided.actions.unsqueeze(-1)).all())
    torch.manual_seed(1)
    policy = Policy(PolicyConfig(features=decided.features.shape[-1], hidden=8, world=""))
    first, again = (imagine_requests(world, policy, starts, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first.rewards, again.rewards)
    assert len(first.rewards) == MAX_DECISIONS
    acted = IS_ACT[first.actions] & first.present
    assert acted.sum(0).eq(1).all()
    called = torch.nn.functional.one_hot(first.actions, len(ACTIONS)) * (first.present & ~acted).unsqueeze(-1)
    assert called.sum(0).max() <= 1
    paid = -(first.rewards * ~acted).sum(0)
    torch.testing.assert_close(paid, (called.sum(0) * COSTS).sum(-1))
    assert bool(first.allowed.gather(-1, first.actions.unsqueeze(-1))[first.present].all())
    behaved = imagine_requests(world, policy, starts, torch.Generator().manual_seed(5), behave=True)
    assert float(behaved.spent.abs().max()) == pytest.approx(0.0, abs=1e-6)
    assert float(first.spent.min()) >= -1e-6


def test_a_policy_chooses_the_most_probable_of_what_is_left() -> None:
    world, domain = small_world(), decision_domain("synthetic_incidents")
    belief = AskGate(world, particles=3).believe([])
    policy = Policy(PolicyConfig(features=features(belief.state).shape[-1], hidden=8, world=""))
    with torch.no_grad():
        policy.actor[2].weight.zero_()
        policy.actor[2].bias.zero_()
        policy.actor[2].bias[ACTIONS.index("repo_assistant.list")] = 9.0  # of another domain
        policy.actor[2].bias[ACTIONS.index("synthetic_incidents.read")] = 3.0
        policy.actor[2].bias[ACTIONS.index("ask")] = 2.0
    assert policy.choose(domain, belief) == "read"
    assert policy.choose(domain, belief, without=("read",)) == "ask"
    assert policy.choose(domain, belief, only=ACTS) == "ask"


def test_a_policy_that_always_or_never_asks_and_one_over_its_budget_alarm_by_name() -> None:
    healthy = PolicyReading(earned=0.6, earned_by_behaviour=0.1, divergence=2.0, calls=0.5, asked=0.4, clone_loss=1.5)

    def names(**changed: float) -> list[str]:
        return [alarm.name for alarm in replace(healthy, **changed).alarms(PolicyWatchSection(), budget=2.0)]

    assert names() == []
    assert names(asked=0.0) == ["policy_collapse"]
    assert names(asked=1.0) == ["policy_collapse"]
    assert names(divergence=2.4) == []
    assert names(divergence=2.6) == ["kl_overshoot"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sessions and a world model that has learned nothing."""
    folder = tmp_path_factory.mktemp("prepared")
    assert decisions.main(["--output", str(folder / "decisions.jsonl"), "--sessions", "16"]) == 0
    save_world(small_world(), folder / "world")
    return folder


def arguments(prepared: Path, output: Path, *more: str) -> list[str]:
    return [f"data={prepared / 'decisions.jsonl'}", f"world={prepared / 'world'}", f"output={output}", *SMALL, *more]


def trainer(prepared: Path, output: Path, *more: str) -> PolicyTrainer:
    return PolicyTrainer(load_config(PolicyTrainConfig, None, arguments(prepared, output, *more)))


@pytest.fixture(scope="module")
def uninterrupted(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run that nothing disturbed."""
    output = tmp_path_factory.mktemp("whole") / "run"
    assert command.main(arguments(prepared, output)) == 0
    return output


@pytest.mark.parametrize("stop", [3, 5, 9])
def test_a_run_that_stops_while_cloning_between_or_while_improving_goes_on_bit_equal(
    prepared: Path, uninterrupted: Path, tmp_path: Path, stop: int
) -> None:
    halted = trainer(prepared, tmp_path / "run", "checkpoint_every=1")
    step = halted.train_step

    def until_stop() -> object:
        if halted.state.step == stop:
            raise KeyboardInterrupt
        return step()

    halted.train_step = until_stop  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        halted.run()
    trainer(prepared, tmp_path / "run").run()
    name = "policy/policy.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (uninterrupted / name).read_bytes()
    assert (tmp_path / "run" / "log.jsonl").read_text() == (uninterrupted / "log.jsonl").read_text()


def test_the_log_has_returns_kl_price_and_calls_and_the_actor_departs_from_the_behaviour(uninterrupted: Path) -> None:
    lines = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    assert all("clone" in line for line in lines[:5])
    first = lines[5]
    assert first["constraints"]["behaviour_kl"]["reading"] == pytest.approx(0.0, abs=1e-6)
    assert {"imagined", "calls", "asked", "actor", "critic"} <= set(first)
    assert {"held_out_imagined", "held_out_behaviour_kl", "held_out_asked"} <= set(lines[-1])
    assert lines[-1]["constraints"]["behaviour_kl"]["reading"] > 0.0


def test_the_world_model_is_not_changed_and_belongs_to_the_policy(prepared: Path, uninterrupted: Path, tmp_path: Path) -> None:
    policy = load_policy(uninterrupted / "policy", world=prepared / "world")
    assert policy.config.hidden == 8
    torch.manual_seed(9)
    save_world(WorldModel(WorldConfig(width=8, classes=4, hidden=8)), tmp_path / "world")
    with pytest.raises(ConfigError, match="another world model"):
        load_policy(uninterrupted / "policy", world=tmp_path / "world")
    with pytest.raises(CheckpointError, match="world="):
        trainer(prepared, uninterrupted, f"world={tmp_path / 'world'}").run()


def test_every_network_gets_a_gradient_and_a_cut_graph_is_refused(prepared: Path, tmp_path: Path) -> None:
    run = trainer(prepared, tmp_path / "run")
    run.check()
    run.policy.critic.register_forward_hook(lambda _module, _args, output: output.detach())
    with pytest.raises(DeadGradientError, match="critic"):
        run.check()


def test_a_run_that_only_clones_is_refused(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments(prepared, tmp_path / "run", "clone_steps=12")) == 2
    assert "clone_steps below steps" in capsys.readouterr().err
