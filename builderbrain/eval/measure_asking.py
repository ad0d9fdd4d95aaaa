"""What the command `evsi` does once its options are read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from builderbrain.eval.evsi import run_sessions
from builderbrain.eval.evsi_informed import InformedGate, count_answers
from builderbrain.eval.evsi_report import as_json, curves, print_report
from builderbrain.eval.output import progress_bar, write_with_plot
from builderbrain.eval.plot import line_chart
from builderbrain.world.checkpoint import load_policy, load_world
from builderbrain.world.decision import DECISION_DOMAINS
from builderbrain.world.gate import AskGate

SEED_PLACE = "{seed}"
COUNTED = 100
"""Sessions of each domain on which the informed gate's answers are counted; other ones than those that are played."""


def measure_asking(
    world: str, target: Path | None, *, policy: str | None = None, seeds: Sequence[int], sessions: int, sessions_seed: int
) -> int:
    """Run the suite for the world models of all seeds; print the tables, write JSON and plot where a target is named.

    Args:
        world, policy: folders of the world models and of what was trained in them, `{seed}` in place of the seed.

    Raises:
        CheckpointError, ConfigError: a folder holds no world model or policy, or one of another version or world model.
    """
    folders = _by_seed(world, seeds)
    gates = {seed: AskGate(load_world(folder)) for seed, folder in folders.items()}
    policies = policy and {seed: load_policy(folder, world=folders[seed]) for seed, folder in _by_seed(policy, seeds).items()}
    informed = InformedGate(count_answers(sessions=COUNTED, seed=sessions_seed + 1))
    with progress_bar() as progress:
        task = progress.add_task("sessions", total=sessions * len(DECISION_DOMAINS))
        results = run_sessions(
            gates,
            informed,
            policies=policies or None,
            sessions=sessions,
            seed=sessions_seed,
            on_session=partial(progress.advance, task),
        )
    console = Console()
    print_report(results, console)
    if target is not None:
        plot = line_chart(
            "net utility per request", curves(results), across="factor of the declared costs of calls", up="utility"
        )
        report = as_json(results, sessions=sessions, seed=sessions_seed)
        write_with_plot(target, report, plot=plot, console=console)
    return 0


def _by_seed(folder: str, seeds: Sequence[int]) -> dict[int, Path]:
    return {seed: Path(folder.replace(SEED_PLACE, str(seed))).expanduser() for seed in dict.fromkeys(seeds)}
