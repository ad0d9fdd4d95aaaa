"""EVSI against problems whose answer is known by hand, and what must hold for every problem."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from builderbrain.world.evsi import perfect_information, sample_information


def problem(seed: int, states: int = 5, observations: int = 4, acts: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prior = torch.rand(states, generator=generator, dtype=torch.float64) + 0.01
    likelihood = torch.rand(states, observations, generator=generator, dtype=torch.float64) ** 3 + 1e-6
    utility = torch.randn(states, acts, generator=generator, dtype=torch.float64)
    return prior / prior.sum(), likelihood / likelihood.sum(-1, keepdim=True), utility


@pytest.mark.parametrize("good", [0.1, 0.3, 0.5, 0.62, 0.9])
@pytest.mark.parametrize("right", [0.5, 0.7, 0.95, 1.0])
def test_two_states_and_a_test_that_is_right_with_a_known_chance(good: float, right: float) -> None:
    """Act pays 1 in the good state and -1 in the bad one, waiting pays 0; the test names the state, `right` of the time.

    Acting on a positive test alone is worth P(+, good) - P(+, bad) = good right - (1 - good)(1 - right); acting whatever it
    says 2 good - 1; never 0; on a negative one alone good (1 - right) - (1 - good) right.
    """
    prior = torch.tensor([good, 1 - good])
    likelihood = torch.tensor([[right, 1 - right], [1 - right, right]])
    utility = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    positive, negative = good * right - (1 - good) * (1 - right), good * (1 - right) - (1 - good) * right
    now = max(0.0, 2 * good - 1)
    expected = max(0.0, positive) + max(0.0, negative) - now
    information = sample_information(prior, likelihood, utility, cost=0.05)
    assert information.now == pytest.approx(now, abs=1e-6)
    assert information.gross == pytest.approx(expected, abs=1e-6)
    assert information.net == pytest.approx(expected - 0.05, abs=1e-6)


def test_a_worked_case() -> None:
    """Half and half, right three times in four: after a positive test acting is worth 0.5, half of the time."""
    information = sample_information(
        torch.tensor([0.5, 0.5]), torch.tensor([[0.75, 0.25], [0.25, 0.75]]), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    )
    assert (information.now, information.after) == (0.0, 0.25)


@pytest.mark.parametrize("seed", range(40))
def test_without_a_cost_it_is_never_negative_and_never_above_perfect_information(seed: int) -> None:
    prior, likelihood, utility = problem(seed)
    gross = sample_information(prior, likelihood, utility).gross
    assert 0.0 <= gross <= perfect_information(prior, utility) + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_an_answer_that_does_not_depend_on_the_state_is_worth_nothing(seed: int) -> None:
    prior, likelihood, utility = problem(seed)
    same = likelihood[:1].expand_as(likelihood)
    assert sample_information(prior, same, utility).gross == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_an_answer_that_names_the_state_is_worth_perfect_information(seed: int) -> None:
    prior, _, utility = problem(seed)
    revealed = torch.eye(len(prior), dtype=torch.float64)
    assert sample_information(prior, revealed, utility).gross == pytest.approx(perfect_information(prior, utility), abs=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_a_garbled_answer_is_worth_no_more_than_the_clear_one(seed: int) -> None:
    """Blackwell: passing the answer through noise that does not know the state can only lose."""
    prior, likelihood, utility = problem(seed)
    garbling = problem(seed + 100, states=4, observations=6)[1]
    clear, garbled = (sample_information(prior, table, utility).gross for table in (likelihood, likelihood @ garbling))
    assert garbled <= clear + 1e-12
