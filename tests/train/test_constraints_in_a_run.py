"""Runs with every constraint on: what they log, that they resume bit for bit, and whom their gradient reaches."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from builderbrain.config import load_config
from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer
from tests.hosts.tiny_models import llama, save_model

NEW = ("g2g", "build", "reuse", "param_l1", "calibration", "invariance")
EVERY = ("cfs_energy", "kl_budget", *NEW)
SMALL = (
    "data=scan", "scan.skins=0.5", "batch_size=4", "micro_batches=2", "base_text_rows=2", "evaluation_rows=2",
    "evaluation_every=4", "checkpoint_every=4", "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=4",
    "budget.steps=[0.2, 1.0]", "rail.plan_nodes=4", "constraints.calibration.lag=1", "constraints.calibration.buffer=3",
    "wrong_steps=0.5", *(f"constraints.{name}.enabled=true" for name in NEW),
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


def trainer(base: Path, output: Path, *more: str) -> Trainer:
    config = load_config(TrainConfig, None, [f"model={base}", f"output={output}", "steps=6", *SMALL, *more])
    return build_trainer(config)[0]


def rows(output: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def test_a_run_cut_in_the_middle_goes_on_bit_equal_and_logs_every_constraint(base: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trainer(base, whole).run()
    started = trainer(base, cut)
    while started.state.step < 3:
        started.train_step()
        started.state.step += 1
    started.save()
    trainer(base, cut).run()
    assert (cut / "rail" / "rail.safetensors").read_bytes() == (whole / "rail" / "rail.safetensors").read_bytes()
    assert rows(cut) == rows(whole)[3:]
    seen = set()
    for row in rows(whole):
        for name, entry in row["constraints"].items():  # type: ignore[attr-defined]
            seen.add(name)
            assert {"reading", "normalised", "dual", "weight", "count"} <= set(entry)
            assert all(math.isfinite(value) for value in entry.values())
            assert entry["count"] > 0
            assert entry["reading"] >= 0.0
    assert seen == set(EVERY)
    last = rows(whole)[-1]["constraints"]
    assert {"edit_distance", "edit_distance_at_least"} <= set(last["g2g"])  # type: ignore[index]
    assert last["param_l1"]["reading"] > 0.0  # type: ignore[index]


def test_gradients_reach_the_rail_alone(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run")
    run.train_step()  # after it the rail has moved from its start, and its skills write something
    model = run.pair.host.model  # type: ignore[attr-defined]
    read = set()
    for part in run.update.parts():
        signals = run.update.forward(part).signals
        for constraint, _ in run.state.constraints:
            reading = constraint.reading(signals)
            if reading is None:
                continue
            run.rail.zero_grad(set_to_none=True)
            reading.backward(retain_graph=True)
            reached = [p for p in run.rail.parameters() if p.grad is not None and bool(p.grad.any())]
            assert reached or float(reading.detach()) == 0.0, constraint.name
            read.add(constraint.name)
    assert read == set(EVERY)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


def test_another_start_and_a_rail_without_a_plan_head_are_refused(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run")
    run.save()
    other = trainer(base, tmp_path / "run")
    growth = next(constraint for constraint, _ in other.state.constraints if constraint.name == "param_l1")
    growth.start = {name: tensor + 1.0 for name, tensor in growth.start.items()}  # type: ignore[attr-defined]
    with pytest.raises(CheckpointError, match="started from"):
        other.resume()
    with pytest.raises(ConfigError, match="plan_nodes >= 1") as caught:
        trainer(base, tmp_path / "none", "rail.plan_nodes=0")
    assert caught.value.field == "rail.plan_nodes"


def test_rows_say_what_they_were_told_in_and_what_their_plan_is(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run")
    several = run.source.rows(1, 60)
    assert {row.environment for row in several} == {"plain", "skin", "plain, wrong step", "skin, wrong step"}
    batch = run.collate(several)
    joined = next(index for index, row in enumerate(several) if len(row.nodes) == 3)
    do, then, follows = 1, 2, 3
    assert batch.nodes[joined].tolist()[:2] == [do, do]
    assert batch.nodes[joined].tolist()[2] in (then, follows)
    assert batch.nodes[joined].tolist()[3:] == [0]
    parallel, seq = 2, 1
    assert [int(batch.edges[joined, i, j]) for i, j in ((0, 1), (0, 2), (1, 2), (1, 0), (2, 3))] == [parallel, seq, seq, -1, -1]
    assert len(batch.environment.unique()) == 4


def test_the_plan_head_learns_what_the_goals_ask_for(base: Path, tmp_path: Path) -> None:
    keys = ("learning_rate=0.02", "muon_learning_rate=0.02", "batch_size=8", "wrong_steps=0", "scan.skins=0")
    run = trainer(base, tmp_path / "run", "steps=30", *keys, *(f"constraints.{name}.enabled=false" for name in NEW[1:]))
    distances = []
    for _ in range(30):
        values, _ = run.train_step()
        run.state.step += 1
        distances.append(values["constraints"]["g2g"]["reading"])
    assert sum(distances[-5:]) < 0.6 * sum(distances[:5])
    assert torch.isfinite(torch.tensor(distances)).all()
