"""The LoRA baseline: as large as asked, it learns, and the base it was made from stays as it was."""

from dataclasses import dataclass

import pytest
import torch

from builderbrain.errors import CheckpointError, SubjectError
from builderbrain.eval import lora
from builderbrain.eval.lora import LoraSettings, load_lora, train_lora
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts import tiny_models

PARAMETERS = 20_000


@dataclass
class Batch:
    tokens: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


def batches(steps, parts=1):
    """Four fixed rows in `parts` parts; every token but the last of a row predicts the next one."""
    rows = tiny_models.random_tokens(4, 13, seed=3)
    positions = torch.arange(4 // parts * 13).view(-1, 13)[:, :-1].flatten()

    def part(tokens):
        return Batch(tokens, positions, tokens[:, 1:].flatten(), torch.ones(len(positions)))

    return [[part(tokens) for tokens in rows.chunk(parts)] for _ in range(steps)]


@pytest.fixture
def host():
    return HuggingFaceHost(tiny_models.llama(), HuggingFaceTokenizer(tiny_models.tiny_tokenizer()), name="tiny")


def logits(host, rows):
    return host.lm_head(host.final_norm(host.forward(rows).taps[-1]))


def test_it_matches_the_size_learns_and_leaves_the_base_alone(host):
    rows = tiny_models.random_tokens(2, 7)
    before, weights = logits(host, rows), {name: p.clone() for name, p in host.model.state_dict().items()}
    training = train_lora(
        host, batches(25).__getitem__, steps=25, settings=LoraSettings(parameters=PARAMETERS, learning_rate=5e-3)
    )
    assert abs(training.parameters - PARAMETERS) <= training.parameters / training.rank / 2  # half of what a rank adds
    assert len(training.losses) == 25
    assert training.tokens == 25 * 4 * 13
    assert training.losses[-1] < 0.5 * training.losses[0]
    assert torch.equal(logits(host, rows), before)
    assert all(torch.equal(p, weights[name]) for name, p in host.model.state_dict().items())
    assert not torch.equal(logits(training.host, rows), before)
    assert not any(p.requires_grad for p in training.host.model.parameters())


def test_a_saved_adapter_comes_back_bit_for_bit(host, tmp_path):
    rows = tiny_models.random_tokens(2, 7)
    training = train_lora(host, batches(3).__getitem__, steps=3, settings=LoraSettings(parameters=PARAMETERS))
    training.save(tmp_path / "adapter")
    assert torch.equal(logits(load_lora(host, tmp_path / "adapter"), rows), logits(training.host, rows))


def test_the_same_seed_gives_the_same_losses_and_another_does_not(host):
    runs = [
        train_lora(host, batches(4).__getitem__, steps=4, settings=LoraSettings(parameters=PARAMETERS, seed=seed)).losses
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_a_run_that_was_cut_off_goes_on_bit_equal(host, tmp_path, monkeypatch):
    monkeypatch.setattr(lora, "_CHECKPOINT_EVERY", 2)
    settings = LoraSettings(parameters=PARAMETERS)
    fixed = batches(5)

    def until(step):
        if step == 3:
            raise KeyboardInterrupt
        return fixed[step]

    with pytest.raises(KeyboardInterrupt):
        train_lora(host, until, steps=5, settings=settings, checkpoints=tmp_path)
    steps = []
    resumed = train_lora(
        host, fixed.__getitem__, steps=5, settings=settings, checkpoints=tmp_path, on_step=lambda step, _: steps.append(step)
    )
    assert steps == [3, 4, 5]
    assert resumed.losses == train_lora(host, fixed.__getitem__, steps=5, settings=settings).losses
    with pytest.raises(CheckpointError, match="steps=5, but this one has 6"):
        train_lora(host, fixed.__getitem__, steps=6, settings=settings, checkpoints=tmp_path)


def test_a_batch_in_parts_trains_as_the_whole_does(host):
    settings = LoraSettings(parameters=PARAMETERS)
    whole, halves = (train_lora(host, batches(4, parts).__getitem__, steps=4, settings=settings) for parts in (1, 2))
    assert halves.losses == pytest.approx(whole.losses, rel=1e-4)
    assert halves.tokens == whole.tokens


def test_labels_without_weight_do_not_count(host):
    plain, poisoned = batches(3), batches(3)
    for (batch,) in (*plain, *poisoned):
        batch.weights[30:] = 0
    for (batch,) in poisoned:
        batch.labels[30:] = 1
    losses = [
        train_lora(host, some.__getitem__, steps=3, settings=LoraSettings(parameters=PARAMETERS)).losses
        for some in (plain, poisoned)
    ]
    assert losses[0] == losses[1]


def test_another_host_and_a_missing_or_foreign_adapter_are_refused(host, tmp_path):
    settings = LoraSettings(parameters=PARAMETERS)
    with pytest.raises(SubjectError, match="transformers"):
        train_lora(object(), batches(2).__getitem__, steps=2, settings=settings)
    with pytest.raises(CheckpointError, match="train-lora"):
        load_lora(host, tmp_path)
    train_lora(host, batches(1).__getitem__, steps=1, settings=settings).save(tmp_path / "adapter")
    wider = HuggingFaceHost(tiny_models.llama(hidden_size=96), HuggingFaceTokenizer(tiny_models.tiny_tokenizer()), name="wider")
    with pytest.raises(CheckpointError, match="wider"):
        load_lora(wider, tmp_path / "adapter")
