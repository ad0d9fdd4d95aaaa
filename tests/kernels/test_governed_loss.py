"""The governed loss against plain PyTorch over whole logits, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bbkernels.governed_loss import OutputHead, governed_loss


def pack(legal: torch.Tensor) -> torch.Tensor:
    """bool [N, V] to int32 [N, ceil(V / 32)]."""
    rows, vocab = legal.shape
    padded = F.pad(legal.long(), (0, -vocab % 32)).view(rows, -1, 32)
    words = (padded << torch.arange(32)).sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).int()


@pytest.mark.parametrize(("rows", "vocab", "chunk"), [(1, 3, 4096), (7, 37, 3), (12, 65, 5)])
@pytest.mark.parametrize("soft_cap", [None, 5.0])
def test_equals_whole_logits(rows: int, vocab: int, chunk: int, soft_cap: float | None) -> None:
    generator = torch.Generator().manual_seed(rows)
    fused = torch.randn(rows, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    base = torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    weight = torch.randn(vocab, 6, generator=generator, dtype=torch.float64)
    head = OutputHead(
        weight=weight, bias=torch.randn(vocab, generator=generator, dtype=torch.float64), scale=0.7, soft_cap=soft_cap
    )
    labels = torch.randint(-1, vocab, (rows,), generator=generator)
    legal = torch.rand(rows, vocab, generator=generator) < 0.4
    legal[:, 1] = True
    out = governed_loss(fused, base, head, labels, pack(legal), chunk_rows=chunk)

    log_p, log_q = head.logits(fused).log_softmax(-1), head.logits(base).log_softmax(-1)
    expected = F.cross_entropy(log_p, labels, ignore_index=-1, reduction="none")
    divergence = F.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)
    energy = -torch.log((log_p.exp() * legal).sum(-1))
    torch.testing.assert_close(out.cross_entropy, expected)
    torch.testing.assert_close(out.divergence, divergence)
    torch.testing.assert_close(out.energy, energy)
    mix = torch.rand(3, rows, generator=generator, dtype=torch.float64)
    (mine,) = torch.autograd.grad((mix[0] * out.cross_entropy + mix[1] * out.divergence + mix[2] * out.energy).sum(), fused)
    (theirs,) = torch.autograd.grad((mix[0] * expected + mix[1] * divergence + mix[2] * energy).sum(), fused)
    torch.testing.assert_close(mine, theirs)


def test_equal_states_have_no_divergence_and_full_masks_no_energy() -> None:
    states = torch.randn(4, 6)
    out = governed_loss(
        states, states, OutputHead(weight=torch.randn(40, 6)), torch.zeros(4, dtype=torch.int64), pack(torch.ones(4, 40).bool())
    )
    assert torch.equal(out.divergence, torch.zeros(4))
    torch.testing.assert_close(out.energy, torch.zeros(4), atol=1e-6, rtol=0)


def test_a_mask_that_allows_nothing_is_infinite_energy() -> None:
    states = torch.randn(1, 6)
    out = governed_loss(
        states, states, OutputHead(weight=torch.randn(40, 6)), torch.tensor([0]), torch.zeros(1, 2, dtype=torch.int32)
    )
    assert torch.isinf(out.energy).all()


def test_wrong_arguments_are_named() -> None:
    states, head = torch.zeros(2, 6), OutputHead(weight=torch.zeros(40, 6))
    with pytest.raises(ValueError, match="bitmask as int32"):
        governed_loss(states, states, head, torch.tensor([0, 1]), torch.zeros(2, 1, dtype=torch.int32))
    with pytest.raises(ValueError, match="labels as int64"):
        governed_loss(states, states, head, torch.tensor([0]))
