"""Runs of a tiny base whose skills live and die: what the tests of the lifecycle share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from builderbrain.config import load_config
from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook
from builderbrain.train.config import TrainConfig
from builderbrain.train.lifecycle.events import SkillHistory
from builderbrain.train.lifecycle.measure import measure
from builderbrain.train.lifecycle.rows import skill_tensors
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer

SCAN = ("data=scan", "scan.skins=0.5", "wrong_steps=0")
SMALL = (
    *SCAN, "batch_size=4", "micro_batches=2", "base_text_rows=1", "evaluation_rows=4", "evaluation_every=4",
    "checkpoint_every=4", "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=6", "budget.steps=[1.0]",
    "learning_rate=0.03", "constraints.reuse.enabled=true", "constraints.reuse.cap=0", "constraints.reuse.skills=2",
    "constraints.reuse.target=9", "constraints.build.enabled=true", "constraints.build.cap=0", "constraints.build.target=0",
)  # fmt: skip
BIRTHS = ("skills.live=2", "skills.births=true", "skills.every=3", "skills.window=2")
TARGETS = {"reuse": 2.0, "build": 0.5, "g2g": 0.1}
BOOK = SkillBook.of(
    RailConfig(base_name="x", d_model=8, vocab_size=8, tap_points=(0,), width=8, num_skills=5, pinned_skills=("next",)), live=4
)


def trainer(base: Path, output: Path, *more: str) -> Trainer:
    return build_trainer(load_config(TrainConfig, None, [f"model={base}", f"output={output}", "steps=10", *SMALL, *more]))[0]


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def kinds(output: Path) -> list[tuple[int | None, str]]:
    return [(event.step, event.kind) for event in SkillHistory(output).events]


def copy_row(rail: BuilderRail, source: int, target: int, *, route: bool = False) -> None:
    with torch.no_grad():
        for name, tensor in skill_tensors(rail).items():
            if route or not name.startswith("router"):
                tensor[target] = tensor[source]


def used(run: Trainer) -> list[int]:
    usage = measure(run.pair, run.held_out.batch).usage
    return sorted(range(len(usage)), key=lambda row: -usage[row])
