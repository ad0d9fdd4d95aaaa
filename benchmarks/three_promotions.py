"""Trains a rail on and on and sends it through the gate: promotions in a row, each on real training of the bundled base.

    python -m benchmarks.three_promotions --folder runs/promotions [--first 400] [--steps 400] [--count 3] [--out FOLDER]

The first rail is trained from nothing and goes live without a report; each following one goes on from live's weights with
another seed, that is with other goals, at half the rates of the one before, is evaluated against live on the shipped battery
with the shipped judge, and promoted if the verdict says so.
Held out is the loss of plans that no step has trained on, from the run's own log. Resumable: a training run goes on from its
checkpoint, a stage that was promoted is not done again. A verdict other than "promote" ends it with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builderbrain.gate.__main__ import main as gate
from builderbrain.gate.diff import difference
from builderbrain.gate.diff_page import as_page
from builderbrain.gate.registry import Registry
from builderbrain.train.__main__ import main as train


def trained(folder: Path, *, steps: int, seed: int, start: Path | None, settings: Sequence[str]) -> Path:
    """Train a rail into `folder`, or go on with it; returns the rail's folder."""
    rates = {"learning_rate": 2e-3 * 0.5**seed, "muon_learning_rate": 2e-2 * 0.5**seed}
    keys = [f"output={folder}", f"steps={steps}", f"seed={seed}", f"evaluation_every={steps}", "checkpoint_every=50"]
    keys += [*(f"{name}={value:g}" for name, value in rates.items()), *settings]
    if start is not None:
        keys.append(f"start={start}")
    code = train(keys)
    if code:
        raise SystemExit(code)
    return folder / "rail"


def held_out(folder: Path) -> float:
    """The held-out loss of plans at the end of a run, nats per token."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    readings = [row["held_out_plan"] for row in rows if "held_out_plan" in row]
    if not readings:
        raise SystemExit(f"{folder} has no held-out reading; remove it and begin again")
    return float(readings[-1])


def stage(registry: Registry, folder: Path, number: int, *, steps: int, settings: Sequence[str]) -> dict[str, Any] | None:
    """One training run and its promotion; None where the gate refuses."""
    live = registry.live_path()
    record = folder / f"stage-{number}.json"
    if record.exists():
        done: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        if any(e.event == "promoted" and e.details["version"] == done["version"] for e in registry.audit_entries()):
            return done
    rail = trained(folder / f"run-{number}", steps=steps, seed=number, start=live, settings=settings)
    version = registry.add(rail, parent=live.name)
    report = registry.report(version)
    if report is None or report["live"] != live.name:
        gate(["--registry", str(registry.root), "evaluate", version, "--timeout", "600", "--max-tokens", "96"])
        report = registry.report(version)
    if report is None or report["verdict"]["decision"] != "promote":
        return None
    # Written first: a kill in between is told from the log, and the stage is not trained on its own result.
    row = {"version": version, "before": live.name, "held_out": held_out(folder / f"run-{number}")}
    record.write_text(json.dumps(row), encoding="utf-8")
    registry.promote(version, expected_live=live.name)
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.three_promotions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of the runs and the registry; goes on where it stopped")
    parser.add_argument("--first", type=int, default=400, help="steps of the first rail (default: 400)")
    parser.add_argument("--steps", type=int, default=400, help="steps of each following one (default: 400)")
    parser.add_argument("--count", type=int, default=3, help="promotions (default: 3)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="keys of training")
    parser.add_argument("--out", type=Path, help="where to copy the reports and pages")
    options = parser.parse_args(arguments)
    registry = Registry(options.folder / "versions")
    if registry.live() is None:
        rail = trained(options.folder / "run-0", steps=options.first, seed=0, start=None, settings=options.set)
        registry.promote(registry.add(rail), expected_live=None)
    print(f"first: held-out {held_out(options.folder / 'run-0'):.4f}")
    for number in range(1, options.count + 1):
        row = stage(registry, options.folder, number, steps=options.steps, settings=options.set)
        if row is None:
            print(f"promotion {number} was refused; see `python -m builderbrain.gate --registry {registry.root} list`")
            return 1
        report = registry.report(row["version"]) or {}
        numbers = report["verdict"]["numbers"]
        print(
            f"{number}: {row['version']}, held-out {row['held_out']:.4f}, mean delta V_s {numbers['mean_delta']:+.4f} "
            f"(at most {numbers['mean_delta_upper']:+.4f}), KL {numbers['kl_mean']:.3f}, "
            f"harms {numbers['harms']} of {numbers['families']}"
        )
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            shutil.copy(registry.root / "reports" / f"{row['version']}.json", options.out / f"report-{number}.json")
            page = as_page(difference(registry, row["before"], row["version"]))
            (options.out / f"diff-{number}.html").write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
