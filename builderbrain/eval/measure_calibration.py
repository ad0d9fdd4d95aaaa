"""What the command `calibration` does once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from builderbrain.errors import SubjectError
from builderbrain.eval import calibration
from builderbrain.eval.bench import SuiteName, load_bench
from builderbrain.eval.fit_confidence import fit_confidence
from builderbrain.eval.output import progress_bar, write_report
from builderbrain.eval.workbench import SEED_PLACE, Workbench
from builderbrain.rail.checkpoint import rail_version
from builderbrain.rail.pair import Pair
from builderbrain.train.goals import REPO_ASSISTANT

BENCHES: tuple[SuiteName, ...] = ("held-out", "wordings")
LEAST_GOALS = 100
_SEEDS = {"map": 7_000_001, "thresholds": 7_000_002, "judged": 7_000_003}
"""Of generated goals; no run's stream begins there."""


def measure_calibration(
    workbench: Workbench, target: Path, *, seeds: Sequence[int | None], goals: int, save: str | None
) -> int:
    """Fit a confidence for each rail and judge it; write the report, and the fitted maps where `save` says.

    Args:
        goals: in each of the three generated sets.
        save: file of a fitted map, in which `{seed}` stands for the seed.

    Raises:
        SubjectError: there are too few goals, or several rails and one file to save to.
    """
    if goals < LEAST_GOALS:
        raise SubjectError(f"expected --goals of at least {LEAST_GOALS}, got {goals}", field="goals")
    if save is not None and len(seeds) > 1 and SEED_PLACE not in save:
        raise SubjectError(f"expected --save with {SEED_PLACE} for several seeds, got {save!r}", field="save")
    sets = {name: _generated(seed, goals) for name, seed in _SEEDS.items()}
    benches = {name: [(item.goal, item.plan) for item in load_bench(name).items] for name in BENCHES}
    results: list[calibration.CalibrationResult] = []
    with progress_bar() as progress:
        for seed in seeds:
            rail = workbench.load_rail(seed)
            pair = Pair(workbench.host, rail.to(workbench.host.device).eval())
            everything = [*sets.values(), *benches.values()]
            task = progress.add_task(f"rail {'' if seed is None else seed}", total=sum(map(len, everything)))
            ask = partial(calibration.answer, pair, grammar=workbench.grammar, on_goals=partial(progress.advance, task))
            fitted, held, judged = (ask(sets[name]) for name in _SEEDS)
            confidence = fit_confidence(
                fitted.evidence,
                fitted.right,
                held.evidence,
                held.right,
                weight_version=rail_version(rail),
                report={"goals": goals, "domain": REPO_ASSISTANT.name},
            )
            results.append(calibration.judge(confidence, judged, goals="generated", seed=seed))
            results += [calibration.judge(confidence, ask(rows), goals=name, seed=seed) for name, rows in benches.items()]
            if save is not None:
                confidence.save(Path(save.replace(SEED_PLACE, str(seed))))
    console = Console()
    calibration.print_report(results, console)
    title = "calibration: expected calibration error"
    write_report(target, calibration.as_json(results), title=title, bars=calibration.bars_of(results), console=console)
    return 0


def _generated(seed: int, count: int) -> list[tuple[str, str]]:
    return [(goal.text, goal.plan) for goal in REPO_ASSISTANT.held_out(seed, count)]
