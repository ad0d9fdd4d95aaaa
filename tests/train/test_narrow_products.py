"""Training beside a bfloat16 base with products in bfloat16: it learns as with float32 ones, and resumes to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bbkernels.governed_loss import narrow
from builderbrain.config import load_config
from builderbrain.hosts import load_host
from builderbrain.hosts.base import Host
from builderbrain.rail import tap_reading
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer

STEPS = 8
SMALL = (
    "device=cpu", "data=repo_assistant", "batch_size=2", "micro_batches=1", "base_text_rows=1", "base_text_pool=1",
    "evaluation_rows=2", f"evaluation_every={STEPS}", "checkpoint_every=4", "tensorboard=never", "rail.width=16",
    "rail.head_size=8", "rail.num_skills=4", "budget.steps=[1.0]", f"steps={STEPS}",
)  # fmt: skip


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`products(True)`: from now on as on a processor that multiplies bfloat16 in hardware; `products(False)`: on another."""

    def set_to(narrowly: bool) -> None:
        for module in (tap_reading, narrow):
            monkeypatch.setattr(module, "multiplies_bfloat16", lambda tensor: narrowly and tensor.dtype == torch.bfloat16)

    return set_to


def trainer(base: Path, output: Path, dtype: torch.dtype = torch.bfloat16) -> Trainer:
    host: Host = load_host(str(base), dtype=dtype, device="cpu")
    return build_trainer(load_config(TrainConfig, None, [f"output={output}", f"model={base}", *SMALL]), host)[0]


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def test_a_rail_learns_as_with_float32_products(base: Path, tmp_path: Path, products: Callable[[bool], None]) -> None:
    logs = {}
    for narrowly in (True, False):
        products(narrowly)
        trainer(base, tmp_path / str(narrowly)).run()
        logs[narrowly] = log(tmp_path / str(narrowly))
    mine, theirs = logs[True], logs[False]
    assert len(mine) == len(theirs) == STEPS
    for key, tolerance in (("plan", 2e-3), ("policy", 2e-3), ("copy", 1e-2), ("gradient_norm", 5e-2)):
        for one, other in zip(mine, theirs, strict=True):
            assert one[key] == pytest.approx(other[key], rel=tolerance), key
    assert mine[0]["loss"] != theirs[0]["loss"]  # so that they were different products
    assert mine[-1]["loss"] < mine[0]["loss"]


def test_a_run_that_starts_again_has_the_losses_of_a_whole_one(
    base: Path, tmp_path: Path, products: Callable[[bool], None]
) -> None:
    products(True)
    trainer(base, tmp_path / "whole").run()
    first = trainer(base, tmp_path / "run")
    for _ in range(4):
        first.train_step()
        first.state.step += 1
    first.save()
    trainer(base, tmp_path / "run").run()
    rows = [
        [tuple(row[key] for key in ("loss", "plan", "gradient_norm")) for row in log(tmp_path / name)]
        for name in ("run", "whole")
    ]
    assert rows[0] == rows[1][4:]


@pytest.mark.parametrize("closed", ["step 0", "gates"])
def test_a_pair_that_changes_nothing_gives_the_bits_of_its_base(
    base: Path, tmp_path: Path, products: Callable[[bool], None], closed: str
) -> None:
    products(True)
    pair = trainer(base, tmp_path / "run").pair
    assert pair.rail is not None
    if closed == "gates":
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in pair.rail.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        pair.rail.gates.set_budget(0.0)
    tokens = torch.randint(0, pair.host.vocab_size, (2, 19), generator=torch.Generator().manual_seed(0))
    output = pair.forward(tokens)
    assert output.fused.requires_grad
    assert output.fused.dtype == torch.bfloat16
    assert torch.equal(output.fused, output.states.taps[-1])


def test_beside_a_float32_base_no_bit_changes(base: Path, tmp_path: Path, products: Callable[[bool], None]) -> None:
    values = []
    for narrowly in (True, False):
        products(narrowly)
        found, _ = trainer(base, tmp_path / str(narrowly), torch.float32).train_step()
        values.append([found[key] for key in ("loss", "plan", "policy", "copy", "gradient_norm")])
    assert values[0] == values[1]
