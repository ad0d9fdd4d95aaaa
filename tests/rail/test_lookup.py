"""Rows by place: the same as advanced indexing, and a gradient that does not depend on threads."""

from __future__ import annotations

import torch

from builderbrain.rail.lookup import rows_at


def test_values_and_gradients_are_those_of_advanced_indexing() -> None:
    values = torch.randn(3, 7, 5, dtype=torch.float64, requires_grad=True)
    places = torch.randint(0, 7, (3, 7, 4))
    weights = torch.randn(3, 7, 4, 5, dtype=torch.float64)
    expected = values[torch.arange(3)[:, None, None], places]
    assert torch.equal(rows_at(values, places), expected)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), values)
    (found,) = torch.autograd.grad((rows_at(values, places) * weights).sum(), values)
    torch.testing.assert_close(found, wanted)


def test_gradients_of_places_that_repeat_are_equal_to_the_bit_every_time() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(1, 600, 16, generator=generator).requires_grad_()
    places = torch.randint(0, 3, (1, 600, 16), generator=generator)  # enough for a CPU to share the work between threads
    weights = torch.randn(1, 600, 16, 16, generator=generator)
    first, *others = (torch.autograd.grad((rows_at(values, places) * weights).sum(), values)[0] for _ in range(20))
    assert all(torch.equal(first, other) for other in others)
