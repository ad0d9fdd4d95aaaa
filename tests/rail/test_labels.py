"""Token labels: what they tell the blocks above them, and that a label of tomorrow tells nothing today."""

from __future__ import annotations

import torch

from builderbrain.rail.config import RailConfig
from builderbrain.rail.labels import TokenLabels

SLOTS = (("clause", ("search", "read")), ("step", ("1", "2", "3")))
NONE, SEARCH, READ = 0, 1, 2
WIDTH = 7


def certain() -> TokenLabels:
    """Labels that channel i of the stream decides: three of the clause, then four of the step."""
    module = TokenLabels(RailConfig(base_name="x", d_model=4, vocab_size=4, tap_points=(0,), width=WIDTH, token_slots=SLOTS))
    with torch.no_grad():
        module.score.weight.copy_(100 * torch.eye(WIDTH))
        module.score.bias.zero_()
        module.enter.weight.zero_()
    return module


def token(clause: int, step: int) -> torch.Tensor:
    x = torch.zeros(WIDTH)
    x[clause] = x[3 + step] = 1.0
    return x


# A goal "search, then read" and a plan that writes its first and its second step.
GOAL = [token(NONE, 0), token(SEARCH, 1), token(SEARCH, 1), token(NONE, 0), token(READ, 2), token(NONE, 1), token(NONE, 2)]


def entered(module: TokenLabels, part: int, place: list[int]) -> torch.Tensor:
    """What a part tells, [T, 7]: 0 own, 1 to 3 at the place and behind it, 4 this step's clause, 5 the next step's."""
    with torch.no_grad():
        module.enter.weight.zero_()
        module.enter.weight[:, part * WIDTH : (part + 1) * WIDTH] = torch.eye(WIDTH)
    told = module(torch.stack(GOAL)[None], torch.tensor([place]), offset=0, cache=None)
    return told.enters[0].detach()


def clause(told: torch.Tensor) -> int:
    return int(told[:3].argmax())


def test_a_step_of_the_plan_finds_the_clause_that_asks_for_it_and_the_one_after() -> None:
    here, after = (entered(certain(), part, [0] * 7) for part in (4, 5))
    assert clause(here[5]) == SEARCH
    assert clause(here[6]) == READ
    assert clause(after[5]) == READ


def test_the_label_where_the_reading_head_stands_is_told_unless_it_is_still_to_come() -> None:
    there = entered(certain(), 1, [0, 2, 1, 1, 1, 4, 2])
    assert clause(there[5]) == READ
    assert clause(there[6]) == SEARCH
    assert not there[1].any()


def test_nothing_is_told_of_later_tokens() -> None:
    module = certain()
    x = torch.stack(GOAL)[None]
    with torch.no_grad():
        module.enter.weight.normal_()
        whole = module(x, torch.zeros(1, 7, dtype=torch.int64), offset=0, cache=None)
        part = module(x[:, :4], torch.zeros(1, 4, dtype=torch.int64), offset=0, cache=None)
    torch.testing.assert_close(whole.enters[:, :4], part.enters)
