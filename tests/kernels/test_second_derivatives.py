"""A gradient that is differentiated again is either right or refused; never 0 without a word."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bbkernels.cross_attention import cross_attention
from bbkernels.gated_fusion import gated_fusion
from bbkernels.governed_loss import OutputHead, governed_loss
from bbkernels.skill_adapter import reference as skill_reference
from bbkernels.skill_adapter import skill_adapter

SKILL, LABELS, NOTHING = torch.tensor([0, 2, 1, 2]), torch.tensor([1, -1, 0, 6]), torch.zeros(1, dtype=torch.int64)


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def lose(fused: Tensor) -> Tensor:
    out = governed_loss(fused, draw(4, 6), OutputHead(weight=draw(7, 6)), LABELS, torch.full((4, 1), 85, dtype=torch.int32))
    return out.cross_entropy + out.divergence + out.energy


OPERATIONS: dict[str, tuple[Callable[..., Tensor], list[Tensor]]] = {
    "gated_fusion": (gated_fusion, [draw(4, 6), draw(4, 6), draw(6)]),
    "cross_attention": (lambda *all: cross_attention(*all, NOTHING), [draw(1, 4, 2, 6), draw(1, 4, 1, 6), draw(1, 0, 1, 6)]),
    "governed_loss": (lose, [draw(4, 6)]),
    "skill_adapter": (lambda x, down, up: skill_adapter(x, SKILL, down, up), [draw(4, 6), draw(3, 6, 45), draw(3, 45, 6)]),
}


def second_derivative(operation: str) -> None:
    function, inputs = OPERATIONS[operation]
    leaves = [value.requires_grad_() for value in inputs]
    first = torch.autograd.grad(function(*leaves).sum(), leaves, create_graph=True, allow_unused=True)
    # A sum that has a gradient anyhow, as a loss with a gradient penalty beside other terms.
    terms = [found.square().sum() + leaf.sum() for found, leaf in zip(first, leaves, strict=True) if found is not None]
    torch.stack(terms).sum().backward()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_kernels_refuse_it_by_name(operation: str, interpreted: None) -> None:
    with pytest.raises(NotImplementedError, match=f"{operation} has first derivatives only"):
        second_derivative(operation)


@pytest.mark.parametrize("operation", ["cross_attention", "governed_loss"])
def test_so_do_the_forms_of_a_processor_that_have_none(operation: str) -> None:
    refusal = rf"{operation} has first derivatives only|derivative for \S+ is not implemented"
    with pytest.raises((NotImplementedError, RuntimeError), match=refusal):
        second_derivative(operation)


def test_gated_fusion_has_one_on_a_processor() -> None:
    base, update, alpha = (value.detach().double() for value in OPERATIONS["gated_fusion"][1])
    inputs = [value.requires_grad_() for value in (update, alpha)]
    assert torch.autograd.gradgradcheck(lambda *both: gated_fusion(base, *both, norm_weight=base[0]), inputs)


@pytest.mark.parametrize("gathered", [0, 2**20])
def test_the_skill_adapter_has_one_on_a_processor(gathered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skill_reference, "_GATHERED", gathered)
    inputs = [draw(*shape).double().requires_grad_() for shape in ((3, 3), (3, 3, 2), (3, 2, 3))]
    assert torch.autograd.gradgradcheck(lambda x, down, up: skill_adapter(x, SKILL[:3], down, up), inputs)
