"""Muon: nearly orthogonal updates, the same as PyTorch's, and only for matrices."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from builderbrain.train.muon import Muon, orthogonalize

SHAPES = ((24, 8), (8, 24), (12, 12), (24, 8))


def test_singular_values_become_about_one_and_their_vectors_stay() -> None:
    torch.manual_seed(0)
    for rows, columns in SHAPES:
        matrix = torch.randn(rows, columns)
        left, values, right = torch.linalg.svd(orthogonalize(matrix[None])[0], full_matrices=False)
        assert values.min() > 0.5
        assert values.max() < 1.3
        first, _, second = torch.linalg.svd(matrix, full_matrices=False)
        assert torch.nn.functional.cosine_similarity((left @ right).flatten(), (first @ second).flatten(), dim=0) > 0.999
    assert torch.equal(orthogonalize(torch.zeros(1, 3, 4)), torch.zeros(1, 3, 4))


def test_it_moves_as_pytorchs_does() -> None:
    torch.manual_seed(0)
    mine = [Parameter(torch.randn(shape)) for shape in SHAPES]
    theirs = [Parameter(parameter.detach().clone()) for parameter in mine]
    optimizers = (
        Muon(mine, lr=0.02, momentum=0.9, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.02, momentum=0.9, weight_decay=0.1),
    )
    start = [parameter.detach().clone() for parameter in mine]
    for _ in range(5):
        for one, other in zip(mine, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other, before in zip(mine, theirs, start, strict=True):
        moved = (other - before).norm()
        assert (one - other).norm() < 0.03 * moved  # theirs iterates in bfloat16


def test_a_parameter_without_gradient_stays_and_a_vector_is_refused() -> None:
    still, moving = Parameter(torch.ones(3, 3)), Parameter(torch.ones(3, 3))
    moving.grad = torch.eye(3)
    Muon([still, moving], lr=0.1).step()
    assert torch.equal(still, torch.ones(3, 3))
    assert not torch.equal(moving, torch.ones(3, 3))
    with pytest.raises(ValueError, match="expected matrices"):
        Muon([Parameter(torch.ones(3))], lr=0.1)
