"""What the command `stacking` does once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from builderbrain.errors import ConfigError, SubjectError
from builderbrain.eval import stacking
from builderbrain.eval.output import progress_bar, write_with_plot
from builderbrain.eval.plot import line_chart
from builderbrain.hosts.load import load_host
from builderbrain.rail.checkpoint import load_rail
from builderbrain.train.config import TrainConfig


def measure_stacking(config: TrainConfig, target: Path, folder: Path, *, seeds: Sequence[int]) -> int:
    """Learn SCAN's tasks stacked and alone; print the table, write JSON and plot.

    Args:
        config: of the first task; `start` is the rail whose trunk is built on.
        folder: for the rails.

    Raises:
        ConfigError: the configuration is not for SCAN over a trunk.
        SubjectError: no seeds, or rails in the folder.
    """
    if config.data != "scan" or not config.start or config.start_skills != "new":
        raise ConfigError(
            "expected data=scan and start=FOLDER start_skills=new, the trunk that all tasks build on; "
            "see docs/skills.md for a whole command",
            field="start",
        )
    if not seeds:
        raise SubjectError("expected --seeds, got none; add --seeds 0 1 2", field="seeds")
    for seed in seeds:
        for condition in stacking.CONDITIONS:
            if (folder / f"{condition}-{seed}").exists():
                raise SubjectError(
                    f"expected no rails in {folder}, got {condition}-{seed}; remove it or name another --folder", field="folder"
                )
    taps = load_rail(Path(config.start)).config.tap_points
    device = None if config.device == "auto" else config.device
    host = load_host(config.model, tap_points=taps, quantization=config.quantization, device=device)
    runs: list[stacking.TaskRun] = []
    with progress_bar() as progress:
        for seed in seeds:
            for condition in stacking.CONDITIONS:
                bar = progress.add_task(f"{condition} {seed}", total=config.steps)

                def on_step(task: str, step: int, exact: float, bar=bar, label=f"{condition} {seed}") -> None:  # type: ignore[no-untyped-def]
                    progress.update(bar, completed=step, description=f"{label}: {task}, {exact:.0%} right")

                runs += stacking.run_condition(condition, config, folder, host, seed=seed, on_step=on_step)
    console = Console()
    stacking.print_report(runs, console)
    plot = line_chart("stacking: steps until mastered", stacking.lines_of(runs), across="task", up="steps")
    write_with_plot(target, stacking.as_json(runs), plot=plot, console=console)
    return 0
