"""Both ways through the dispatch give the same rail: the references, and the kernels under the interpreter."""

from __future__ import annotations

import pytest
import torch

from bbkernels.dispatch import launches_kernels
from builderbrain.rail.pair import Pair
from tests.rail.conftest import family_host, make_rail


def gradients(pair: Pair, tokens: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    assert pair.rail is not None
    pair.rail.zero_grad()
    output = pair.forward(tokens)
    pair.logits(output.fused).float().logsumexp(-1).mean().backward()
    return output.fused.detach(), {name: p.grad.clone() for name, p in pair.rail.named_parameters() if p.grad is not None}


def test_a_rail_gives_the_same_values_and_gradients_through_kernels_as_through_references(
    request: pytest.FixtureRequest,
) -> None:
    host = family_host("llama")
    pair = Pair(host, make_rail(host, jitter=0.1))
    tokens = torch.randint(0, host.vocab_size, (2, 9), generator=torch.Generator().manual_seed(0))
    assert not launches_kernels(torch.zeros(1))
    fused, expected = gradients(pair, tokens)
    request.getfixturevalue("interpreted")
    assert launches_kernels(torch.zeros(1))
    kernel_fused, found = gradients(pair, tokens)
    torch.testing.assert_close(kernel_fused, fused)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
