"""The GRU with its own backward pass gives what `nn.GRU` gives over packed rows, gradients included."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from builderbrain.rail.gru import gru_both_ways


def packed(gru: nn.GRU, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    rows = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(gru(rows)[0], batch_first=True, total_length=x.shape[1])[0]


@pytest.mark.parametrize("lengths", [[1], [7, 3, 5], [4, 4], [1, 9]])
def test_states_and_gradients_are_those_of_packed_rows(lengths: list[int]) -> None:
    torch.manual_seed(0)
    gru = nn.GRU(6, 5, bidirectional=True, batch_first=True).double()
    x = torch.randn(len(lengths), max(lengths) + 1, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(lengths), max(lengths) + 1, 10, dtype=torch.float64)
    results = []
    for way in (packed, gru_both_ways):
        states = way(gru, x, torch.tensor(lengths))
        gradients = torch.autograd.grad((states * weight).sum(), [x, *gru.parameters()])
        results.append([states.detach(), *gradients])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-10)
