"""Trains a rail on and on and sends it through the gate: promotions in a row, each on real training of the bundled base.

    python -m benchmarks.three_promotions --folder runs/promotions [--steps 600] [--count 3] [--tries 3] [--out FOLDER]

The bundled rail goes live without a report, as the first version of a registry does. Then a run goes on from live's weights,
with other goals and, in `1 - replay` of each batch, requests that have to be turned down and their like that are fine
(`refused_requests.py`), at lower rates than the run before. The candidate is not the run's end but a point on the
way there: live's weights and `--keep` of the change, since a mean of both keeps most of what was learned and little of what
changed by the way where nothing was (WiSE-FT, Wortsman et al. 2022). It is evaluated against live on the shipped battery with
the shipped judge, and promoted if the verdict says so; if not, half as much of the change is kept, and the gate is asked again.

Held out is the loss of plans that no step has trained on, as a run of one step without rates reads it: of generated goals, and
of the mix. Resumable: a training run goes on from its checkpoint, a stage that was promoted is not done again. Exit code 1
where a stage had no candidate that passed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.refused_requests import refused_requests
from builderbrain.gate.__main__ import main as gate
from builderbrain.gate.diff import difference
from builderbrain.gate.diff_page import as_page
from builderbrain.gate.registry import Registry
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.interpolation import pull_back
from builderbrain.storage import write_atomic
from builderbrain.train.__main__ import main as train

REFUSED_ROWS = 4000
"""Of a stage's data file."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done, from the command line. `settings` are further keys of training."""

    folder: Path
    start: Path
    steps: int
    tries: int
    keep: float
    learning_rate: float
    muon_learning_rate: float
    decay: float
    replay: float
    settings: Sequence[str]


def mixed(number: int, plan: Plan) -> tuple[str, ...]:
    """The keys of training that mix in the requests of a stage; those of stage 0 are held out. None where goals are all."""
    if plan.replay == 1:
        return ()
    path = plan.folder / f"refused-{number}.jsonl"
    if not path.exists():
        rows = refused_requests(seed=number, count=REFUSED_ROWS)
        write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return f"data={path}", f"replay={plan.replay}"


def trained(folder: Path, plan: Plan, *more: str, start: Path, seed: int, scale: float, steps: int) -> Path:
    """Train a rail into `folder`, or go on with it; returns the rail's folder."""
    keys = [
        f"output={folder}",
        f"start={start}",
        f"seed={seed}",
        f"steps={steps}",
        f"evaluation_every={steps}",
        "checkpoint_every=50",
        f"learning_rate={plan.learning_rate * scale:g}",
        f"muon_learning_rate={plan.muon_learning_rate * scale:g}",
        *plan.settings,
        *more,
    ]
    code = train(keys)
    if code:
        raise SystemExit(code)
    return folder / "rail"


def between(live: Path, end: Path, keep: float, folder: Path) -> Path:
    """A rail with live's weights and so much of the change to those of `end`, written into `folder`."""
    if not folder.exists():
        rail = load_rail(end)
        pull_back(rail, load_rail(live), keep)
        save_rail(rail, folder, information={"between": [live.name, end.parent.name], "keep": keep})
    return folder


def held_out(rail: Path, folder: Path, plan: Plan, *mixed: str) -> tuple[float, float]:
    """The held-out loss of plans in nats per token, and the share of goals whose plan is exact; of generated goals, or of those
    that the keys of `mixed` mix in."""
    trained(folder, plan, *mixed, start=rail, seed=0, scale=1e-6, steps=1)
    row = json.loads((folder / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return float(row["held_out_plan"]), float(row["held_out_exact"])


def stage(registry: Registry, plan: Plan, number: int) -> dict[str, Any] | None:
    """Candidates until one is promoted; None where the gate refuses all of them."""
    live = registry.live_path()
    record = plan.folder / f"stage-{number}.json"
    if record.exists():
        done: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        promoted = (entry.details["version"] for entry in registry.audit_entries() if entry.event == "promoted")
        if done["version"] in promoted:
            return done
    end = trained(
        plan.folder / f"run-{number}",
        plan,
        *mixed(number, plan),
        start=live,
        seed=11 * number,
        scale=plan.decay ** (number - 1),
        steps=plan.steps,
    )
    refused = []
    for attempt in range(1, plan.tries + 1):
        keep = plan.keep * 0.5 ** (attempt - 1)
        name = f"{number}-{attempt}"
        rail = between(live, end, keep, plan.folder / f"candidate-{name}")
        version = registry.add(rail, parent=live.name)
        report = registry.report(version)
        if report is None or report["live"] != live.name:
            gate(["--registry", str(registry.root), "evaluate", version, "--timeout", "600", "--max-tokens", "96"])
            report = registry.report(version)
        loss, exact = held_out(rail, plan.folder / f"held-out-{name}", plan)
        row = {"version": version, "before": live.name, "keep": keep, "held_out": loss, "exact": exact}
        if report is None or report["verdict"]["decision"] != "promote":
            refused.append(row)
            continue
        # Written first: a kill in between is told from the log, and the stage is not trained on its own result.
        record.write_text(json.dumps({**row, "refused": refused}), encoding="utf-8")
        registry.promote(version, expected_live=live.name)
        return {**row, "refused": refused}
    return None


def with_requests(rail: Path, plan: Plan, name: str) -> str:
    """What is held out of the mix that is trained on, in words."""
    if plan.replay == 1:
        return ""
    loss, exact = held_out(rail, plan.folder / f"mixed-{name}", plan, *mixed(0, plan))
    return f"; with requests {loss:.4f}, {exact:.1%}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.three_promotions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="of the runs and the registry; goes on where it stopped")
    parser.add_argument("--start", type=Path, default=BUNDLED_RAIL, help="the first live version (default: the bundled rail)")
    parser.add_argument("--steps", type=int, default=600, help="of each run (default: 600)")
    parser.add_argument("--count", type=int, default=3, help="promotions (default: 3)")
    parser.add_argument("--tries", type=int, default=3, help="candidates of a stage at most (default: 3)")
    parser.add_argument("--keep", type=float, default=0.5, help="share of a run's change in its first candidate (default: 0.5)")
    parser.add_argument("--learning-rate", type=float, default=1.5e-4, help="of the first run (default: 0.00015)")
    parser.add_argument("--muon-learning-rate", type=float, default=1.2e-3, help="of the first run (default: 0.0012)")
    parser.add_argument("--decay", type=float, default=0.75, help="rates of a run over those of the run before (default: 0.75)")
    parser.add_argument("--replay", type=float, default=0.8, help="share of generated goals; 1 for nothing else (default: 0.8)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="keys of training")
    parser.add_argument("--out", type=Path, help="where to copy the reports and pages")
    options = parser.parse_args(arguments)
    plan = Plan(
        folder=options.folder,
        start=options.start,
        steps=options.steps,
        tries=options.tries,
        keep=options.keep,
        learning_rate=options.learning_rate,
        muon_learning_rate=options.muon_learning_rate,
        decay=options.decay,
        replay=options.replay,
        settings=options.set,
    )
    registry = Registry(plan.folder / "versions")
    if registry.live() is None:
        registry.promote(registry.add(plan.start), expected_live=None)
    loss, exact = held_out(plan.start, plan.folder / "held-out-first", plan)
    print(f"first: held-out {loss:.4f}, {exact:.1%} exact{with_requests(plan.start, plan, 'first')}")
    for number in range(1, options.count + 1):
        row = stage(registry, plan, number)
        if row is None:
            print(f"promotion {number} was refused; see `python -m builderbrain.gate --registry {registry.root} list`")
            return 1
        report = registry.report(row["version"]) or {}
        numbers = report["verdict"]["numbers"]
        rises = [1.0 if one["delta"] is None else one["delta"] for one in report["readings"]]
        print(
            f"{number}: {row['version']}, after {len(row['refused'])} refused, held-out {row['held_out']:.4f}, "
            f"{row['exact']:.1%} exact{with_requests(registry.root / row['version'], plan, str(number))}, "
            f"mean delta V_s {fmean(rises):+.4f} over prompts, {numbers['mean_delta']:+.4f} over families "
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
