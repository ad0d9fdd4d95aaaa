"""What each constraint does to its own reading in a short run, and what it costs per step.

    python -m benchmarks.constraints [--steps N] [--out FILE] [key=value ...]

One trainer per way on the bundled base, all on the same rows of SCAN (split addprim_jump, 70 % of the rows in skins); their
steps alternate. "none" has the two constraints that are on by default. "watched" reads all six others and pushes none (cap
0): what the readings do by themselves. Each further way pushes one of them, "all" pushes all. Price: processor time of a
step divided by that of "none" in the same round, median (OMP_NUM_THREADS=1). Readings: means of five steps at the start, in
the middle and at the end, with the multiplier at the end, and the task's loss.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from builderbrain.config import load_config
from builderbrain.errors import BuilderBrainError, DataError
from builderbrain.hosts import load_host
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer

NEW = ("g2g", "build", "reuse", "param_l1", "calibration", "invariance")
RUN = ("data=scan", "scan.split=addprim_jump", "scan.skins=0.7", "wrong_steps=0", "budget.steps=[1.0]", "tensorboard=never")
AVERAGED = 5


def ways() -> dict[str, tuple[str, ...]]:
    """Overrides of each way."""
    on = {name: f"constraints.{name}.enabled=true" for name in NEW}
    idle = tuple(f"constraints.{name}.cap=0" for name in NEW)
    head = "rail.plan_nodes=4"
    single = {name: (key, head) if name == "g2g" else (key,) for name, key in on.items()}
    return {"none": (), "watched": (*on.values(), *idle, head), **single, "all": (*on.values(), head)}


def course(trainers: dict[str, Trainer], steps: int) -> dict[str, Any]:
    """Alternate the trainers' steps; seconds, task losses and readings of each."""
    seconds: dict[str, list[float]] = {way: [] for way in trainers}
    logs: dict[str, list[dict[str, Any]]] = {way: [] for way in trainers}
    for _ in range(steps):
        for way, trainer in trainers.items():
            start = time.process_time()
            values, _ = trainer.train_step()
            seconds[way].append(time.process_time() - start)
            logs[way].append(values)
            trainer.state.step += 1
    return {
        way: {
            "price": statistics.median(mine / none for mine, none in zip(seconds[way][2:], seconds["none"][2:], strict=True)),
            "plan": thirds([values["plan"] for values in logs[way]]),
            "readings": {
                name: thirds([values["constraints"][name]["reading"] for values in logs[way] if name in values["constraints"]])
                for name in (*NEW, "cfs_energy", "kl_budget")
                if any(name in values["constraints"] for values in logs[way])
            },
            "duals": {name: entry["dual"] for name, entry in logs[way][-1]["constraints"].items()},
            "skills_used": [values["skills_used"] for values in logs[way]][-1],
        }
        for way in trainers
    }


def thirds(values: list[float]) -> list[float]:
    """Means of a few values at the start, in the middle and at the end."""
    middle = len(values) // 2
    parts = (values[:AVERAGED], values[middle : middle + AVERAGED], values[-AVERAGED:])
    return [statistics.fmean(part) for part in parts]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 0 done, 2 refused with a reason."""
    parser = argparse.ArgumentParser(description="What each constraint does and costs")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for every way")
    options = parser.parse_args(arguments)
    try:
        _run(options)
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: could not write {error.filename or options.out}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.out is not None and not options.out.absolute().parent.is_dir():
        raise DataError(f"expected --out in a folder that exists, got {options.out}; make the folder first", field="out")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        configs = {}
        for way, keys in ways().items():
            overrides = [*RUN, f"steps={options.steps}", f"output={folder}/{way}", *keys, *options.overrides]
            configs[way] = load_config(TrainConfig, None, overrides)
        host = load_host(TrainConfig().model)
        trainers = {way: build_trainer(config, host)[0] for way, config in configs.items()}
        report = {
            "steps": options.steps,
            "overrides": options.overrides,
            "torch": version("torch"),
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "ways": course(trainers, options.steps),
        }
    text = json.dumps(report, indent=1, sort_keys=True)
    if options.out is not None:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
