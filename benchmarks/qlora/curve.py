"""Held-out loss over time on the bundled base: the rail with its default settings, and a LoRA of as many parameters.

Both learn the same generated goals and are asked for the loss of the same held-out rows' plans every few steps, which is not
timed. They take turns on one core; time is the processor's. A rail's run also moves its alpha budget by these readings, so they
are part of it. Steps have the length of each side's own schedule: warm-up and cosine end at the last one.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from builderbrain.config import load_config
from builderbrain.eval.lora import inject
from builderbrain.eval.train_baseline import LEARNING_RATES
from builderbrain.eval.tune import TuneSettings, tune
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer


@dataclass
class Course:
    """What a side went through: processor seconds of training, step and held-out loss at each reading."""

    points: list[tuple[float, int, float]] = field(default_factory=list)
    seconds: float = 0.0


def curves(steps: int, every: int, note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Both courses, in turns of `every` steps; `note` is given what there is after each turn."""
    config = load_config(TrainConfig, None, [f"steps={steps}", f"evaluation_every={every}", "tensorboard=never"])
    trainer, _ = build_trainer(config)
    parameters = sum(parameter.numel() for parameter in trainer.rail.parameters())
    lora = LoraRun(trainer, parameters, steps, every)
    rail = Course()
    report: dict[str, Any] = {}
    for start in range(0, steps, every):
        for _ in range(min(every, steps - start)):
            began = time.thread_time()
            trainer.train_step()
            rail.seconds += time.thread_time() - began
            trainer.state.step += 1
        rail.points.append((rail.seconds, trainer.state.step, trainer.evaluate()["held_out_plan"]))
        lora.turn()
        report = {
            "parameters": {"rail": parameters, "lora": lora.parameters},
            "learning_rate": {"lora": LEARNING_RATES["lora"], "rail": config.learning_rate, "muon": config.muon_learning_rate},
            "steps": steps,
            "points": {"rail": rail.points, "lora": lora.course.points},
            "time_to_loss": time_to_loss(rail.points, lora.course.points),
        }
        note(report)
    return report


class LoraRun:
    """`tune` in a thread of its own that runs only while `turn` waits for it."""

    def __init__(self, trainer: Trainer, parameters: int, steps: int, every: int) -> None:
        host = trainer.pair.host
        assert isinstance(host, HuggingFaceHost)
        torch.manual_seed(0)
        self._adapter, self.rank = inject(copy.deepcopy(host.model), parameters)
        self.parameters = sum(p.numel() for p in self._adapter.parameters() if p.requires_grad)
        self.course = Course()
        self._trainer, self._steps, self._every = trainer, steps, every
        self._go, self._rest = threading.Semaphore(0), threading.Semaphore(0)
        self._began = 0.0
        threading.Thread(target=self._run, daemon=True).start()

    def turn(self) -> None:
        """Train until the next reading."""
        self._go.release()
        self._rest.acquire()

    def _run(self) -> None:
        trainer, config = self._trainer, self._trainer.config
        self._go.acquire()
        self._began = time.thread_time()
        tune(
            self._adapter,
            lambda step: trainer.collate.parts(trainer.source.rows(step, config.batch_size), config.micro_batches),
            settings=TuneSettings(steps=self._steps, learning_rate=LEARNING_RATES["lora"]),
            run={},
            device=torch.device("cpu"),
            on_step=self._on_step,
        )

    def _on_step(self, step: int, _loss: float) -> None:
        if step % self._every and step != self._steps:
            return
        self.course.seconds += time.thread_time() - self._began
        self.course.points.append((self.course.seconds, step, self._held_out()))
        self._rest.release()
        if step != self._steps:
            self._go.acquire()
        self._began = time.thread_time()

    @torch.no_grad()
    def _held_out(self) -> float:
        batch, model = self._trainer.held_out.batch, self._adapter
        model.eval()
        logits = model(input_ids=batch.tokens, use_cache=False).logits.flatten(0, 1)[batch.positions].float()
        model.train()
        each = functional.cross_entropy(logits, batch.labels, reduction="none")
        return float((each * batch.weights).sum() / batch.weights.sum())


def time_to_loss(rail: list[tuple[float, int, float]], lora: list[tuple[float, int, float]]) -> list[dict[str, float | None]]:
    """For losses that either side reached: seconds until it did, and how many times sooner the rail did."""
    lowest = min(loss for *_, loss in (*rail, *lora))
    found = []
    for loss in (4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1):
        if loss < lowest:
            break
        mine, theirs = (next((seconds for seconds, _, at in side if at <= loss), None) for side in (rail, lora))
        found.append({
            "loss": loss, "rail": mine, "lora": theirs, "times_sooner": theirs / mine if mine and theirs else None,
        })  # fmt: skip
    return found


def write_plot(report: dict[str, Any], path: Path) -> None:
    """An SVG of both curves."""
    width, height, left, top = 640, 360, 60, 40
    points = report["points"]
    longest = max(side[-1][0] for side in points.values()) or 1.0
    highest = max(loss for side in points.values() for *_, loss in side)
    right, bottom = width - 20, height - 40

    def place(seconds: float, loss: float) -> str:
        return f"{left + seconds / longest * (right - left):.1f},{bottom - loss / highest * (bottom - top):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="24" font-size="15">Held-out loss of plans over training time, one core</text>',
        f'<polyline points="{left},{top} {left},{bottom} {right},{bottom}" fill="none" stroke="#666"/>',
        f'<text x="{right}" y="{height - 10}" text-anchor="end" fill="#666">processor seconds, to {longest:.0f}</text>',
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end" fill="#666">{highest:.1f}</text>',
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end" fill="#666">0</text>',
    ]
    for row, (side, colour) in enumerate((("rail", "#4878a8"), ("lora", "#c8641e"))):
        line = " ".join(place(seconds, loss) for seconds, _, loss in points[side])
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{right - 80}" y="{top + 18 * row}" fill="{colour}">{side}</text>')
    path.write_text("\n".join([*parts, "</svg>", ""]))
