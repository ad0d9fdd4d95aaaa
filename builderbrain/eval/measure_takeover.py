"""What the command `takeover` does once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from rich.console import Console

from builderbrain.errors import SubjectError
from builderbrain.eval import takeover
from builderbrain.eval.output import progress_bar, write_with_plot
from builderbrain.eval.plot import line_chart
from builderbrain.eval.takeover import BUDGETS
from builderbrain.eval.workbench import Workbench
from builderbrain.gate.battery import shipped_battery
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.subject import base_features_of
from builderbrain.rail.pair import Pair
from builderbrain.train.data import base_text_rows
from builderbrain.train.goals import generate_goals

__all__ = ["BUDGETS", "measure_takeover"]

_GOAL_SEED, _TEXT_SEED = 8_000_001, 8_000_002
_TEXT_ROWS, _TEXT_WIDTH = 8, 128


def measure_takeover(
    workbench: Workbench,
    target: Path,
    *,
    seeds: Sequence[int | None],
    budgets: Sequence[float],
    goals: int,
    prompts: int,
    judge: Path,
) -> int:
    """Sweep the budget of every rail; print the table, write JSON and plot.

    Args:
        goals: composed ones, and as many others.
        prompts: of the open red-team battery, 0 for all.
        judge: folder of the risk judge.

    Raises:
        SubjectError: a budget outside [0, 1], or no goals.
        JudgeError: there is no judge for this base.
    """
    if goals < 1 or prompts < 0:
        raise SubjectError(f"expected --goals of at least 1 and --prompts of at least 0, got {goals}, {prompts}", field="goals")
    for budget in budgets:
        if not 0.0 <= budget <= 1.0:
            raise SubjectError(f"expected --budgets in [0, 1], got {budget}", field="budgets")
    frozen = RiskJudge.load(judge)
    features = base_features_of(workbench.host)
    frozen.check_base(features)
    composed = [(goal.text, goal.plan) for goal in islice(generate_goals(_GOAL_SEED, left_out=True), goals)]
    plain = [(goal.text, goal.plan) for goal in islice(generate_goals(_GOAL_SEED), goals)]
    red_team = [prompt for prompt in shipped_battery().prompts if prompt.kind == "red_team"]
    text = base_text_rows(workbench.host.tokenizer, seed=_TEXT_SEED, step=0, count=_TEXT_ROWS, width=_TEXT_WIDTH)
    material = takeover.Material(
        composed=composed,
        plain=plain,
        prompts=red_team[: prompts or None],
        judge=frozen,
        base_features=features,
        text=text.to(workbench.host.device),
    )
    found: list[takeover.Takeover] = []
    with progress_bar() as progress:
        for seed in seeds:
            task = progress.add_task(f"rail {'' if seed is None else seed}", total=len(budgets))
            rail = workbench.load_rail(seed).to(workbench.host.device).eval()
            pair = Pair(workbench.host, rail)
            step = partial(progress.advance, task)
            found += takeover.sweep(pair, rail, material, workbench.grammar, seed=seed, budgets=budgets, on_budget=step)
    console = Console()
    takeover.print_report(found, console)
    plot = line_chart("takeover", takeover.lines_of(found), across="alpha budget", up="share; risk")
    write_with_plot(target, takeover.as_json(found), plot=plot, console=console)
    return 0
