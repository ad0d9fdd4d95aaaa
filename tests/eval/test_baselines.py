"""The baselines, LoRA and full fine-tuning: as large as asked, they learn, and the base they were made from stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from builderbrain.errors import CheckpointError, SubjectError
from builderbrain.eval import tune
from builderbrain.eval.full import FullTraining, load_full, train_full
from builderbrain.eval.lora import LoraTraining, load_lora, train_lora
from builderbrain.eval.tune import TuneSettings
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts import tiny_models

PARAMETERS = 20_000
KINDS = ("lora", "full")


@dataclass
class Batch:
    tokens: torch.Tensor
    positions: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


def batches(steps: int, parts: int = 1) -> list[list[Batch]]:
    """Four fixed rows in `parts` parts; every token but the last of a row predicts the next one."""
    rows = tiny_models.random_tokens(4, 13, seed=3)
    positions = torch.arange(4 // parts * 13).view(-1, 13)[:, :-1].flatten()

    def part(tokens: torch.Tensor) -> Batch:
        return Batch(tokens, positions, tokens[:, 1:].flatten(), torch.ones(len(positions)))

    return [[part(tokens) for tokens in rows.chunk(parts)] for _ in range(steps)]


def train(kind: str, host: Any, batch_of: Callable[[int], Any], **settings: Any) -> LoraTraining | FullTraining:
    outer = {name: settings.pop(name) for name in ("start", "checkpoints", "on_step") if name in settings}
    tuning = TuneSettings(**({"learning_rate": 2e-3} | settings))
    if kind == "lora":
        return train_lora(host, batch_of, parameters=PARAMETERS, settings=tuning, **outer)
    return train_full(host, batch_of, settings=tuning, **outer)


def load(kind: str, host: Any, folder: Path) -> Any:
    return (load_lora if kind == "lora" else load_full)(host, folder)


@pytest.fixture
def host() -> HuggingFaceHost:
    return HuggingFaceHost(tiny_models.llama(), HuggingFaceTokenizer(tiny_models.tiny_tokenizer()), name="tiny")


def logits(host: Any, rows: torch.Tensor) -> torch.Tensor:
    scores: torch.Tensor = host.lm_head(host.final_norm(host.forward(rows).taps[-1]))
    return scores


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_and_leaves_the_base_alone(kind: str, host: HuggingFaceHost) -> None:
    rows = tiny_models.random_tokens(2, 7)
    before, weights = logits(host, rows), {name: p.clone() for name, p in host.model.state_dict().items()}
    training = train(kind, host, batches(25).__getitem__, steps=25, learning_rate=5e-3)
    assert len(training.tuned.losses) == 25
    assert training.tuned.tokens == 25 * 4 * 13
    assert training.tuned.losses[-1] < 0.5 * training.tuned.losses[0]
    assert torch.equal(logits(host, rows), before)
    assert all(torch.equal(p, weights[name]) for name, p in host.model.state_dict().items())
    assert not any(p.requires_grad for p in host.model.parameters())
    assert not torch.equal(logits(training.host, rows), before)
    assert not any(p.requires_grad for p in training.host.model.parameters())  # type: ignore[attr-defined]


def test_a_lora_is_as_large_as_asked_and_full_tuning_is_the_whole_base(host: HuggingFaceHost) -> None:
    lora = train("lora", host, batches(1).__getitem__, steps=1)
    assert isinstance(lora, LoraTraining)
    assert abs(lora.parameters - PARAMETERS) <= lora.parameters / lora.rank / 2  # half of what a rank adds
    full = train("full", host, batches(1).__getitem__, steps=1)
    assert full.parameters == sum(parameter.numel() for parameter in host.model.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_saved_comes_back_bit_for_bit(kind: str, host: HuggingFaceHost, tmp_path: Path) -> None:
    rows = tiny_models.random_tokens(2, 7)
    training = train(kind, host, batches(3).__getitem__, steps=3)
    training.save(tmp_path / "saved")
    assert torch.equal(logits(load(kind, host, tmp_path / "saved"), rows), logits(training.host, rows))


def test_a_lora_starts_from_its_seed(host: HuggingFaceHost) -> None:
    runs = [train("lora", host, batches(4).__getitem__, steps=4, seed=seed).tuned.losses for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_cut_off_goes_on_bit_equal(
    kind: str, host: HuggingFaceHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "_CHECKPOINT_EVERY", 2)
    fixed = batches(5)

    def until(step: int) -> list[Batch]:
        if step == 3:
            raise KeyboardInterrupt
        return fixed[step]

    with pytest.raises(KeyboardInterrupt):
        train(kind, host, until, steps=5, checkpoints=tmp_path)
    steps: list[int] = []
    resumed = train(kind, host, fixed.__getitem__, steps=5, checkpoints=tmp_path, on_step=lambda step, _: steps.append(step))
    assert steps == [3, 4, 5]
    assert resumed.tuned.losses == train(kind, host, fixed.__getitem__, steps=5).tuned.losses
    with pytest.raises(CheckpointError, match="steps=5, but this one has 6"):
        train(kind, host, fixed.__getitem__, steps=6, checkpoints=tmp_path)
    with pytest.raises(CheckpointError, match="with kind="):
        train("full" if kind == "lora" else "lora", host, fixed.__getitem__, steps=5, checkpoints=tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_from_a_lora(kind: str, host: HuggingFaceHost, tmp_path: Path) -> None:
    first = train("lora", host, batches(25).__getitem__, steps=25, learning_rate=5e-3)
    first.save(tmp_path / "first")
    again = train(kind, host, batches(3).__getitem__, steps=3, learning_rate=1e-6, start=tmp_path / "first")
    assert again.tuned.losses[0] < 1.05 * first.tuned.losses[-1]
    rows = tiny_models.random_tokens(2, 7)
    torch.testing.assert_close(logits(again.host, rows), logits(first.host, rows), atol=1e-3, rtol=1e-3)
    again.save(tmp_path / "again")
    assert torch.equal(logits(load(kind, host, tmp_path / "again"), rows), logits(again.host, rows))
    if isinstance(again, LoraTraining) and isinstance(first, LoraTraining):
        assert (again.rank, again.parameters) == (first.rank, first.parameters)
    with pytest.raises(CheckpointError, match="train-lora"):
        train(kind, host, batches(3).__getitem__, steps=3, start=tmp_path)


def test_a_batch_in_parts_trains_as_the_whole_does(host: HuggingFaceHost) -> None:
    whole, halves = (train("lora", host, batches(4, parts).__getitem__, steps=4) for parts in (1, 2))
    assert halves.tuned.losses == pytest.approx(whole.tuned.losses, rel=1e-4)
    assert halves.tuned.tokens == whole.tuned.tokens


def test_labels_without_weight_do_not_count(host: HuggingFaceHost) -> None:
    plain, poisoned = batches(3), batches(3)
    for (batch,) in (*plain, *poisoned):
        batch.weights[30:] = 0
    for (batch,) in poisoned:
        batch.labels[30:] = 1
    losses = [train("lora", host, some.__getitem__, steps=3).tuned.losses for some in (plain, poisoned)]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", KINDS)
def test_another_host_and_missing_or_foreign_weights_are_refused(kind: str, host: HuggingFaceHost, tmp_path: Path) -> None:
    with pytest.raises(SubjectError, match="transformers"):
        train(kind, object(), batches(2).__getitem__, steps=2)
    with pytest.raises(CheckpointError, match=f"train-{kind}"):
        load(kind, host, tmp_path)
    train(kind, host, batches(1).__getitem__, steps=1).save(tmp_path / "saved")
    wider = HuggingFaceHost(tiny_models.llama(hidden_size=96), HuggingFaceTokenizer(tiny_models.tiny_tokenizer()), name="wider")
    with pytest.raises(CheckpointError, match="wider"):
        load(kind, wider, tmp_path / "saved")
