"""What the `Host` protocol promises, on each supported family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from builderbrain.hosts import BaseStates, Host, load_host
from builderbrain.hosts.huggingface import HuggingFaceHost
from tests.hosts.tiny_models import FAMILIES, WINDOW, random_tokens, save_model

LENGTH = 3 * WINDOW + 2


@pytest.fixture(scope="module", params=FAMILIES)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Host:
    folder = save_model(FAMILIES[request.param](), tmp_path_factory.mktemp(request.param))
    return load_host(str(folder))


def own_outputs(host: Host, tokens: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """The model's hidden states (embedding first, the last one normed) and logits, by its own full forward."""
    assert isinstance(host, HuggingFaceHost)
    with torch.no_grad():
        output = host.model(input_ids=tokens, output_hidden_states=True, use_cache=False)
    return output.hidden_states, output.logits


def assert_close(states: BaseStates, expected: BaseStates) -> None:
    for got, want in zip(tensors(states), tensors(expected), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-4)  # states reach 20, four float32 layers deep


def tensors(states: BaseStates) -> tuple[torch.Tensor, ...]:
    return (states.tokens, states.embedding, states.unembedding, *states.taps)


def concatenate(parts: list[BaseStates]) -> BaseStates:
    taps = tuple(torch.cat(tap, dim=1) for tap in zip(*(part.taps for part in parts), strict=True))
    return BaseStates(
        tokens=torch.cat([part.tokens for part in parts], dim=1),
        embedding=torch.cat([part.embedding for part in parts], dim=1),
        unembedding=torch.cat([part.unembedding for part in parts], dim=1),
        taps=taps,
    )


def test_it_describes_the_model(host: Host) -> None:
    assert isinstance(host, Host)
    assert (host.d_model, host.vocab_size, host.num_layers, host.max_length) == (64, 320, 3, 128)
    assert host.tap_points == (0, 1, 2)
    assert host.dtype == torch.float32
    assert host.device.type == "cpu"


def test_taps_are_the_models_own_hidden_states(host: Host) -> None:
    tokens = random_tokens(2, LENGTH)
    states = host.forward(tokens)
    own, _ = own_outputs(host, tokens)
    assert torch.equal(states.embedding, own[0])
    for tap, expected in zip(states.taps[:-1], own[1:-1], strict=True):
        assert torch.equal(tap, expected)
    assert torch.equal(host.final_norm(states.taps[-1]), own[-1])
    assert not torch.equal(states.taps[-1], own[-1])  # before the norm, not after


def test_logits_are_the_models_own(host: Host) -> None:
    tokens = random_tokens(2, LENGTH)
    logits = host.lm_head(host.final_norm(host.forward(tokens).taps[-1]))
    assert torch.equal(logits, own_outputs(host, tokens)[1])


@pytest.mark.parametrize("chunks", [[1] * LENGTH, [4, 1, 7, 5], [WINDOW, LENGTH - WINDOW], [LENGTH]], ids=str)
def test_cached_decoding_equals_recomputation(host: Host, chunks: list[int]) -> None:
    tokens = random_tokens(2, LENGTH)
    cache = host.new_cache()
    assert cache.get_seq_length() == 0
    parts = []
    for chunk in tokens.split(chunks, dim=1):
        parts.append(host.forward(chunk, cache=cache))
        assert cache.get_seq_length() == sum(part.embedding.shape[1] for part in parts)
    assert_close(concatenate(parts), host.forward(tokens))


def test_right_padding_changes_nothing(host: Host) -> None:
    lengths = torch.tensor([LENGTH, 6, 1])
    padded = random_tokens(3, LENGTH)
    for row, length in enumerate(lengths.tolist()):
        padded[row, length:] = 0
    together = host.forward(padded, lengths=lengths)
    for row, length in enumerate(lengths.tolist()):
        cut = BaseStates(
            tokens=together.tokens[row : row + 1, :length],
            embedding=together.embedding[row : row + 1, :length],
            unembedding=together.unembedding[row : row + 1, :length],
            taps=tuple(tap[row : row + 1, :length] for tap in together.taps),
        )
        assert_close(cut, host.forward(padded[row : row + 1, :length]))
    assert all(torch.isfinite(tap).all() for tap in together.taps)


def test_other_padding_gives_the_same_bits(host: Host) -> None:
    tokens = random_tokens(2, LENGTH)
    other = tokens.clone()
    assert isinstance(host, HuggingFaceHost)
    other[:, 9:] = random_tokens(2, LENGTH - 9, seed=1)
    lengths = torch.tensor([9, 9])
    for one, two in zip(host.forward(tokens, lengths=lengths).taps, host.forward(other, lengths=lengths).taps, strict=True):
        # Experts group the tokens of the whole batch, so that their sums may round differently.
        torch.testing.assert_close(one[:, :9], two[:, :9], rtol=0, atol=1e-5 if "GptOss" in type(host.model).__name__ else 0)


def test_the_base_is_frozen_and_leaves_no_graph(host: Host) -> None:
    assert isinstance(host, HuggingFaceHost)
    assert not any(parameter.requires_grad for parameter in host.model.parameters())
    assert not any(module.training for module in host.model.modules())
    with torch.enable_grad():
        states = host.forward(random_tokens(2, 5))
    for state in (states.embedding, *states.taps):
        assert not state.requires_grad
        assert state.grad_fn is None


def test_norm_and_head_carry_gradients_to_their_input_alone(host: Host) -> None:
    assert isinstance(host, HuggingFaceHost)
    before = {name: parameter.clone() for name, parameter in host.model.named_parameters()}
    leaf = host.forward(random_tokens(2, 5)).taps[-1].clone().requires_grad_()
    torch.nn.functional.cross_entropy(
        host.lm_head(host.final_norm(leaf)).flatten(0, 1), random_tokens(2, 5).flatten()
    ).backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    assert (leaf.grad.abs().amax(dim=-1) > 0).all()
    for name, parameter in host.model.named_parameters():
        assert parameter.grad is None
        assert torch.equal(parameter, before[name])


def test_norm_and_head_take_any_leading_shape(host: Host) -> None:
    states = host.forward(random_tokens(2, 5)).taps[-1]
    logits = host.lm_head(host.final_norm(states))
    torch.testing.assert_close(host.lm_head(host.final_norm(states[1, 3])), logits[1, 3], rtol=1e-5, atol=1e-5)


def test_tap_points_choose_the_layers(host: Host, tmp_path: Path) -> None:
    assert isinstance(host, HuggingFaceHost)
    tokens = random_tokens(1, 6)
    every = host.forward(tokens)
    some = load_host(host.name, tap_points=[0, 2])
    assert some.tap_points == (0, 2)
    states = some.forward(tokens)
    assert len(states.taps) == 2
    assert torch.equal(states.taps[0], every.taps[0])
    assert torch.equal(states.taps[1], every.taps[2])
