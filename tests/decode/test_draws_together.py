"""Rows of many outputs are drawn in one call, each as it would be drawn alone."""

from __future__ import annotations

import pytest
import torch

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.sampler import Row, Sampler, checked, draw_rows
from builderbrain.decode.temperature import TemperatureSchedule
from builderbrain.errors import MaskEmptyError, NonFiniteLogitsError

V = 70
KINDS = {
    "plain": SamplingParameters(max_tokens=9, seed=1),
    "greedy": SamplingParameters(max_tokens=9, temperature=0, seed=2),
    "cut": SamplingParameters(max_tokens=9, temperature=1.3, top_p=0.8, top_k=20, seed=3),
    "penalised": SamplingParameters(max_tokens=9, repetition_penalty=1.4, presence_penalty=0.5, seed=4),
    "soft": SamplingParameters(max_tokens=9, energy_scale=50.0, seed=5),
    "biased": SamplingParameters(max_tokens=9, logit_bias=((33, 4.0), (2, -100.0)), min_tokens=9, seed=6),
    "soft, cut and biased": SamplingParameters(max_tokens=9, energy_scale=50.0, top_p=0.9, logit_bias=((3, -1.5),), seed=7),
    "scheduled": SamplingParameters(max_tokens=9, temperature=TemperatureSchedule(start=1.8, end=0.2, tokens=8), seed=8),
    "all": SamplingParameters(max_tokens=9, min_p=0.01, frequency_penalty=-0.4, seed=2**63 - 1),
}


def rows() -> list[Row]:
    mask = torch.full(((V + 31) // 32,), 0b1010, dtype=torch.int32)
    found = []
    for place, parameters in enumerate(KINDS.values()):
        sampler = Sampler(parameters, [3, 3, 8], V, frozenset({0, 35}))
        sampler.count(11)
        found += [sampler.row(None, place), sampler.row(mask, place + 7)]
    return found


def test_rows_of_all_kinds_draw_together_what_each_draws_alone() -> None:
    logits = torch.randn(2 * len(KINDS), V, generator=torch.Generator().manual_seed(0))
    before = logits.clone()
    together = draw_rows(logits, rows())
    assert torch.equal(logits, before)
    assert together == [draw_rows(line[None], [row])[0] for line, row in zip(logits, rows(), strict=True)]
    assert all(draw.token in (1, 3, 33, 35, 65, 67) for draw in together[1::2])


def test_a_row_that_cannot_be_drawn_says_why_and_leaves_the_others() -> None:
    plain = Sampler(KINDS["plain"], [1], V)
    empty = torch.zeros((V + 31) // 32, dtype=torch.int32)
    logits = torch.randn(3, V)
    logits[2, 5] = torch.nan
    asked = [plain.row(None, 0), plain.row(empty, 0), plain.row(None, 0)]
    first, second, third = draw_rows(logits, asked)
    assert checked(first, asked[0]) is first
    with pytest.raises(MaskEmptyError):
        checked(second, asked[1])
    with pytest.raises(NonFiniteLogitsError):
        checked(third, asked[2])
