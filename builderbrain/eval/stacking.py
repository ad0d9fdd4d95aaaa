"""The stacking suite: how soon a rail masters a task when it has mastered those that it is composed of.

SCAN's tasks (`builderbrain.train.scan.tasks`) are learned in their order. **Stacked**: each task goes on from the rail of the
task before. **Alone**: each task starts where the first one did, from the same trunk with new skills. A task is mastered at the
first of two evaluations in a row at which at least 95 % of its held-out commands, all of them in skins that were never seen,
are right token by token under teacher forcing. Transfer is the ratio of the two numbers of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import torch
from rich.console import Console
from rich.table import Table

from builderbrain.eval.plot import Point
from builderbrain.eval.statistics import Interval
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import save_rail
from builderbrain.train.config import TrainConfig
from builderbrain.train.scan.tasks import TASKS, Task
from builderbrain.train.setup import build_trainer

Condition = Literal["stacked", "alone"]
CONDITIONS: tuple[Condition, ...] = ("stacked", "alone")
MASTERED = 0.95
EVERY = 5


@dataclass(frozen=True, kw_only=True)
class TaskRun:
    """One task under one condition and seed.

    `steps` until it was mastered, None when it was not within `most_steps`; `exact` per evaluation, every five steps;
    `earlier` is the share of held-out commands right of each earlier task afterwards; `parameters` were trained.
    """

    condition: Condition
    task: Task
    seed: int
    steps: int | None
    most_steps: int
    exact: tuple[float, ...]
    earlier: dict[str, float]
    parameters: int


def run_condition(
    condition: Condition,
    base: TrainConfig,
    folder: Path,
    host: Host,
    *,
    seed: int,
    tasks: Sequence[Task] = TASKS,
    on_step: Callable[[str, int, float], None] = lambda task, step, exact: None,
) -> list[TaskRun]:
    """Learn the tasks in their order.

    Args:
        base: of the first task; its `start` is the trunk and its `steps` the most that a task gets.
        folder: for the rails, `<folder>/<condition>-<seed>/<task>`; must not hold any yet.
        on_step: told the task, the step and the latest share of right commands.
    """
    runs: list[TaskRun] = []
    start, skills = base.start, base.start_skills
    for place, task in enumerate(tasks):
        config = replace(
            base,
            start=start,
            start_skills=skills,
            seed=seed,
            output=str(folder / f"{condition}-{seed}" / task),
            evaluation_every=EVERY,
            scan=replace(base.scan, task=task),
        )
        run, rail_folder = _learn(condition, config, host, task=task, earlier=tasks[:place], on_step=on_step)
        runs.append(run)
        if condition == "stacked":
            start, skills = str(rail_folder), "keep"
    return runs


def _learn(
    condition: Condition,
    config: TrainConfig,
    host: Host,
    *,
    task: Task,
    earlier: Sequence[Task],
    on_step: Callable[[str, int, float], None],
) -> tuple[TaskRun, Path]:
    trainer, summary = build_trainer(config, host)
    trainer.check()
    exact: list[float] = []
    mastered: int | None = None
    while trainer.state.step < config.steps and mastered is None:
        trainer.train_step()
        trainer.state.step += 1
        if trainer.state.step % EVERY == 0:
            exact.append(trainer.evaluate()["held_out_exact"])
            if len(exact) > 1 and min(exact[-2:]) >= MASTERED:
                mastered = trainer.state.step - EVERY
        on_step(task, trainer.state.step, exact[-1] if exact else 0.0)
    trainer.rail.eval()
    target = Path(config.output) / "rail"
    target.parent.mkdir(parents=True, exist_ok=True)
    save_rail(trainer.rail, target)
    kept: dict[str, float] = {name: _exact_on(config, host, target, name) for name in earlier} if condition == "stacked" else {}
    run = TaskRun(
        condition=condition,
        task=task,
        seed=config.seed,
        steps=mastered,
        most_steps=config.steps,
        exact=tuple(exact),
        earlier=kept,
        parameters=summary.trainable_parameters,
    )
    return run, target


@torch.no_grad()
def _exact_on(config: TrainConfig, host: Host, rail: Path, task: Task) -> float:
    """Share of an earlier task's held-out commands that a rail has right."""
    there = replace(config, start=str(rail), start_skills="keep", scan=replace(config.scan, task=task))
    trainer, _ = build_trainer(there, host)
    return float(trainer.evaluate()["held_out_exact"])


def as_json(runs: Sequence[TaskRun]) -> dict[str, Any]:
    """The whole report as JSON values."""
    return {"suite": "stacking", "mastered": MASTERED, "every": EVERY, "runs": [asdict(run) for run in runs]}


def print_report(runs: Sequence[TaskRun], console: Console) -> None:
    """Print one line per task: steps to mastery stacked and alone, their ratio, what is left of earlier tasks, parameters."""
    seeds = len({run.seed for run in runs})
    table = Table(title=f"stacking: steps until a task is mastered, means of {seeds} seeds (least .. most)")
    for heading in ("task", "stacked", "alone", "alone / stacked", "earlier tasks still right", "parameters"):
        table.add_column(heading, justify="left" if heading == "task" else "right")
    for task in dict.fromkeys(run.task for run in runs):
        stacked, alone = (_of(runs, condition, task) for condition in CONDITIONS)
        ratio = "-" if not stacked or not alone else f"{fmean(map(_steps, alone)) / fmean(map(_steps, stacked)):.1f}"
        earlier = [share for run in stacked for share in run.earlier.values()]
        table.add_row(
            task,
            _shown(stacked),
            _shown(alone),
            ratio,
            f"{min(earlier):.1%} at least" if earlier else "-",
            f"{stacked[0].parameters:,}" if stacked else "-",
        )
    console.print(table)


def lines_of(runs: Sequence[TaskRun]) -> dict[str, list[Point]]:
    """Mean steps by the number of the task; the interval is least to most over seeds."""
    lines: dict[str, list[Point]] = {}
    for condition in CONDITIONS:
        for number, task in enumerate(dict.fromkeys(run.task for run in runs), 1):
            steps = [_steps(run) for run in _of(runs, condition, task)]
            if steps:
                interval = Interval(low=min(steps), high=max(steps))
                lines.setdefault(condition, []).append(Point(x=number, y=fmean(steps), interval=interval))
    return lines


def _of(runs: Sequence[TaskRun], condition: Condition, task: Task) -> list[TaskRun]:
    return [run for run in runs if run.condition == condition and run.task == task]


def _steps(run: TaskRun) -> int:
    """A task that was not mastered counts as if it had been at the very end, which flatters it."""
    return run.most_steps if run.steps is None else run.steps


def _shown(runs: Sequence[TaskRun]) -> str:
    if not runs:
        return "-"
    steps = [_steps(run) for run in runs]
    missed = sum(run.steps is None for run in runs)
    more = f", {missed} not mastered" if missed else ""
    return f"{fmean(steps):.0f} ({min(steps)} .. {max(steps)}{more})"
