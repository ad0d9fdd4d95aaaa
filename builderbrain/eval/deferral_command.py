"""The options of the command `deferral`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from builderbrain.deferral.thresholds import Bound, check_level
from builderbrain.eval.workbench import Workbench


def add_deferral(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    base: argparse.ArgumentParser,
    report: argparse.ArgumentParser,
) -> None:
    """Add the command."""
    defer = commands.add_parser(
        "deferral", parents=[base, report], help="risk over coverage and calibration by domain; fits the thresholds of a server"
    )
    defer.add_argument(
        "--rows", metavar="FOLDER", type=Path, help="of DOMAIN.jsonl of goals with plans (default: generated ones)"
    )
    defer.add_argument("--goals", metavar="N", type=int, default=1000, help="generated in each of three sets (default: 1000)")
    defer.add_argument("--level", metavar="SHARE", type=float, default=0.05, help="that a server holds (default: 0.05)")
    defer.add_argument(
        "--bound", choices=get_args(Bound), default="answered_and_wrong", help="of what (default: answered_and_wrong)"
    )
    defer.add_argument("--save", metavar="FOLDER", help="write what a server reads here; {seed} in it stands for the seed")
    defer.add_argument("--weight-version", metavar="NAME", help="of a registry's version; default: the rail's own digest")


def run_deferral(options: argparse.Namespace, workbench: Workbench) -> int:
    """Measure what the options say."""
    from builderbrain.eval.measure_deferral import Enforced, measure_deferral

    check_level(options.level)
    return measure_deferral(
        workbench,
        options.json,
        seeds=workbench.rail_seeds(),
        rows=options.rows,
        goals=options.goals,
        enforced=Enforced(bound=options.bound, level=options.level, weight_version=options.weight_version),
        save=options.save,
    )
