"""The baselines on a pretended CUDA device, with batches as the trainer makes them and as they lie on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from builderbrain.eval import tune
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.eval.test_baselines import KINDS, batches, load, logits, train
from tests.hosts import tiny_models
from tests.simulated_device import CUDA

pytestmark = pytest.mark.usefixtures("pretended_cuda")
pytest.importorskip("bitsandbytes")  # PEFT imports it, and it looks for CUDA then: before the pretence


@pytest.mark.parametrize("kind", KINDS)
def test_a_baseline_is_trained_resumed_saved_and_loaded_on_the_device(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "_CHECKPOINT_EVERY", 1)
    tokenizer = HuggingFaceTokenizer(tiny_models.tiny_tokenizer())
    host = HuggingFaceHost(tiny_models.llama().to(CUDA), tokenizer, name="tiny")
    fixed = batches(2, parts=2)
    with pytest.raises(IndexError):
        train(kind, host, fixed[:1].__getitem__, steps=2, checkpoints=tmp_path / "checkpoints")
    training = train(kind, host, fixed.__getitem__, steps=2, checkpoints=tmp_path / "checkpoints")
    assert {parameter.device for parameter in training.host.model.parameters()} == {CUDA}  # type: ignore[attr-defined]
    training.save(tmp_path / "saved")
    rows = tiny_models.random_tokens(2, 7)
    assert torch.equal(logits(load(kind, host, tmp_path / "saved"), rows), logits(training.host, rows))
