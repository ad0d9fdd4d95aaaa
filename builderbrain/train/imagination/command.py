"""`python -m builderbrain.train policy [--config FILE] world=FOLDER data=FILE output=DIR [key=value ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.config import load_config
from builderbrain.train.command_line import exit_status, parse_run
from builderbrain.train.imagination.config import PolicyTrainConfig
from builderbrain.train.imagination.trainer import PolicyTrainer
from builderbrain.train.run_folder import check_output


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason, 130 interrupted."""
    options = parse_run(
        sys.argv[1:] if arguments is None else arguments,
        prog="python -m builderbrain.train policy",
        description="Train a policy over tools and acts in the imagination of a trained world model, within a budget of KL to "
        "whoever told the sessions. Safe to repeat: a run that was killed goes on.",
        epilog="example: python -m builderbrain.train policy world=runs/world/world data=decisions.jsonl output=runs/policy "
        "behaviour.target=1; docs/world.md",
        defaults=PolicyTrainConfig(world="FOLDER", data="FILE", output="DIR"),
    )

    def train() -> None:
        config = load_config(PolicyTrainConfig, options.config, options.overrides)
        check_output(Path(config.output))
        trainer = PolicyTrainer(config)
        parameters = sum(parameter.numel() for parameter in trainer.policy.parameters())
        print(f"{len(trainer.starts)} requests, {len(trainer.decisions)} decisions, {parameters:,} parameters", flush=True)
        print(f"the trained policy is in {trainer.run()}", flush=True)

    return exit_status(train)
