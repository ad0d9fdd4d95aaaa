"""A run on a pretended CUDA device: whatever stays on the CPU by mistake is refused by the first operator that meets it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from builderbrain.config import load_config
from builderbrain.hosts.load import NANO
from builderbrain.train.config import TrainConfig
from builderbrain.train.parts import Part
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer
from tests.simulated_device import CPU, CUDA

pytestmark = pytest.mark.usefixtures("pretended_cuda")


SMALL = (
    "batch_size=2", "micro_batches=2", "base_text_rows=1", "evaluation_rows=2", "evaluation_every=2", "checkpoint_every=2",
    "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=4", "budget.steps=[0.2, 1.0]",
    "rail.plan_nodes=6", *(f"constraints.{name}.enabled=true" for name in ("g2g", "build", "reuse", "param_l1", "calibration",
                                                                           "invariance")),
)  # fmt: skip


def trainer(output: Path, *more: str) -> Trainer:
    config = load_config(TrainConfig, None, [f"model={NANO}", f"output={output}", "device=cuda", "steps=2", *SMALL, *more])
    return build_trainer(config)[0]


def test_a_run_is_checked_trained_evaluated_saved_and_resumed_on_the_device(tmp_path: Path) -> None:
    folder = trainer(tmp_path / "run").run()  # boot checks, two steps with base text and memory, held-out readings, checkpoint
    assert (folder / "rail.safetensors").is_file()
    again = trainer(tmp_path / "run")
    again.resume()
    assert again.state.step == 2
    values, _ = again.train_step()
    assert math.isfinite(values["loss"])
    assert math.isfinite(values["gradient_norm"])
    assert again.state.memory.device == CUDA
    assert {tensor.device for tensor in again.rail.state_dict().values()} == {CUDA}
    for optimizer in again.state.optimizers:
        for state in optimizer.state.values():
            assert {key: value.device for key, value in state.items()} == {key: CPU if key == "step" else CUDA for key in state}


def test_a_batch_that_stays_on_the_cpu_is_found(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run")
    batch = run.collate(run.source.rows(0, 2))
    assert run.train_step()
    with pytest.raises(ValueError, match="expected labels on cuda:0"):
        run.update.forward(Part(index=0, batch=batch.to(CPU), text=None))
