"""The comparison with QLoRA runs, in tiny shapes: same rows, same number of trained parameters, figures that can be read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.qlora.base import SHAPES
from benchmarks.qlora.curve import time_to_loss, write_plot
from benchmarks.qlora.race import ratios
from benchmarks.qlora.sides import Governed, Load, Qlora
from benchmarks.qlora.worker import allocated, timed

CPU = torch.device("cpu")


@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 0.01), (torch.bfloat16, 0.05)])
def test_both_sides_train_on_the_same_rows_with_as_many_parameters(dtype: torch.dtype, rounding: float) -> None:
    load = Load(shape=SHAPES["tiny"], dtype=dtype, one_part=True)
    governed = Governed(load, CPU, cached=True, new_rows=False)
    qlora = Qlora(load, CPU, parameters=governed.trainable, checkpointing=True)
    assert qlora.trainable == pytest.approx(governed.trainable, rel=0.1)
    mine, theirs = timed(governed, CPU), timed(qlora, CPU)
    assert mine["loss"] == pytest.approx(theirs["loss"], abs=rounding), "a new rail and a new adapter leave the base alone"
    assert mine["state_cache"]["misses"] == 3
    again = timed(governed, CPU)
    assert again["state_cache"]["hit_rate"] == 1.0
    assert again["seconds"] > 0
    assert timed(qlora, CPU)["loss"] < theirs["loss"]
    held = allocated(qlora, CPU)
    assert held["bytes"] > 4 * qlora.trainable
    assert math.isfinite(governed.step())


def test_ratios_are_taken_the_right_way_round() -> None:
    seconds = {"governed": 2.0, "governed-pool": 1.6, "cached": 0.2, "qlora": 4.0, "qlora-checkpointing": 6.0}
    sides = {side: {"seconds": [spent], "tokens_per_second": 100 / spent} for side, spent in seconds.items()}
    held = {side: {"allocated": size} for side, size in {**dict.fromkeys(seconds, 30), "qlora": 100}.items()}
    found = ratios({"sides": sides}, held)
    assert found["tokens_per_second_over_qlora"] == 2.0
    assert found["tokens_per_second_over_qlora_with_checkpointing"] == 3.0
    assert found["tokens_per_second_with_text_from_a_pool_over_qlora"] == 2.5
    assert found["cached_over_first_epoch"] == 10.0
    assert found["cached_over_qlora"] == 20.0
    assert found["allocated_memory_of_qlora"] == 0.3


def test_the_curve_says_who_was_first(tmp_path: Path) -> None:
    points: dict[str, Any] = {"rail": [(10.0, 1, 2.4), (20.0, 2, 0.9)], "lora": [(5.0, 1, 2.4), (50.0, 2, 0.95)]}
    found = {row["loss"]: row for row in time_to_loss(points["rail"], points["lora"])}
    assert found[2.5]["times_sooner"] == 0.5
    assert found[1.0]["times_sooner"] == 2.5
    assert 0.7 not in found
    write_plot({"points": points}, tmp_path / "curve.svg")
    assert (tmp_path / "curve.svg").read_text().count("<polyline") == 3
