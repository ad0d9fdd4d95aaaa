"""Whether gradient surgery earns its price: held-out readings after short runs with none, plain sums, PCGrad and CAGrad.

    python -m benchmarks.conflict_methods --out FILE [--seeds 0 1 2] [--tasks scan repo_assistant]

"none" has no constraints at all, so nothing pulls against the task. The others have the default constraints with their duals,
and the losses are added as they are (scalarised) or weighed (pcgrad, cagrad). Rows, seeds and initial weights are the same for
all ways. Readings are means of the last three evaluations; price is the processor time of a step over that of "scalarised" with
the same seed and task, median over steps (OMP_NUM_THREADS=1). A row that the file holds already is not run again, so a run that
was cut off goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from builderbrain.config import load_config
from builderbrain.hosts.load import load_host
from builderbrain.rail.bundled import bundled_rail_of
from builderbrain.rail.checkpoint import load_rail
from builderbrain.storage import write_atomic
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer

NANO = "builderbrain-nano"
TASKS = {
    "scan": (
        "start={bundled}", "start_skills=new", "rail.pinned=true", "rail.num_skills=8", "rail.skill_rank=8", "data=scan",
        "scan.split=addprim_jump", "scan.skins=0.7", "wrong_steps=0", "learning_rate=0.004", "steps=120",
    ),
    "repo_assistant": ("learning_rate=0.004", "steps=200"),
}  # fmt: skip
COMMON = ("budget.steps=[1.0]", "tensorboard=never", "evaluation_every=10", "evaluation_rows=48")
OFF = ("constraints.cfs_energy.enabled=false", "constraints.kl_budget.enabled=false")
METHODS = {"none": OFF, **{name: (f"conflict.method={name}",) for name in ("scalarised", "pcgrad", "cagrad")}}
READINGS = ("held_out_plan", "held_out_policy", "held_out_exact", "held_out_illegal", "held_out_divergence")
_AVERAGED = 3


def run(task: str, method: str, seed: int) -> dict[str, Any]:
    """One run; its readings and the seconds of its steps."""
    bundled = bundled_rail_of(NANO)
    if bundled is None:
        raise SystemExit("expected the bundled rail of the bundled base, got none; reinstall the package")
    with tempfile.TemporaryDirectory() as output:
        overrides = [part.format(bundled=bundled) for part in (*TASKS[task], *COMMON, *METHODS[method])]
        config = load_config(TrainConfig, None, [*overrides, f"seed={seed}", f"output={output}"])
        host = load_host(NANO, tap_points=load_rail(bundled).config.tap_points) if config.start else load_host(NANO)
        trainer, _ = build_trainer(config, host)
        seconds: list[float] = []
        evaluations: list[dict[str, Any]] = []
        while trainer.state.step < config.steps:
            start = time.process_time()
            trainer.train_step()
            seconds.append(time.process_time() - start)
            trainer.state.step += 1
            if trainer.state.step % config.evaluation_every == 0:
                evaluations.append(trainer.evaluate())
    last = evaluations[-_AVERAGED:]
    return {
        "task": task,
        "method": method,
        "seed": seed,
        "steps": config.steps,
        "seconds": statistics.median(seconds[2:]),
        "readings": {name: statistics.fmean(one[name] for one in last) for name in READINGS},
        "held_out_plan": [one["held_out_plan"] for one in evaluations],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Means over seeds, with the least and most."""
    lines = [
        f"{'task':15s}{'method':12s}" + "".join(f"{name.removeprefix('held_out_'):>24s}" for name in READINGS) + "   price"
    ]
    for task in dict.fromkeys(row["task"] for row in rows):
        base = {row["seed"]: row["seconds"] for row in rows if (row["task"], row["method"]) == (task, "scalarised")}
        for method in METHODS:
            mine = [row for row in rows if (row["task"], row["method"]) == (task, method)]
            if not mine:
                continue
            cells = []
            for name in READINGS:
                values = [row["readings"][name] for row in mine]
                cells.append(f"{statistics.fmean(values):.4f} ({min(values):.3f} .. {max(values):.3f})")
            prices = [row["seconds"] / base[row["seed"]] for row in mine if row["seed"] in base]
            price = f"{statistics.fmean(prices):.2f}" if prices else "-"
            lines.append(f"{task:15s}{method:12s}" + "".join(f"{cell:>24s}" for cell in cells) + f"   {price}")
    return "\n".join(lines)


def main() -> None:
    """Run what the file lacks, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON; rows that it holds are kept")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=tuple(TASKS), default=list(TASKS))
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") == "1":
        torch.set_num_threads(1)
    rows: list[dict[str, Any]] = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    have = {(row["task"], row["method"], row["seed"]) for row in rows}
    for seed in options.seeds:
        for task in options.tasks:
            for method in METHODS:
                if (task, method, seed) not in have:
                    rows.append(run(task, method, seed))
                    value = {"benchmark": "conflict_methods", "torch": torch.__version__, "rows": rows}
                    write_atomic(options.out, json.dumps(value, indent=1).encode())
                    print(f"{task}, {method}, seed {seed}: {rows[-1]['readings']}", flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
