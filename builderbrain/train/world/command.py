"""`python -m builderbrain.train world [--config FILE] data=FILE output=DIR [key=value ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.config import load_config
from builderbrain.train.command_line import exit_status, parse_run
from builderbrain.train.run_folder import check_output
from builderbrain.train.world.config import WorldTrainConfig
from builderbrain.train.world.trainer import WorldTrainer


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason, 130 interrupted."""
    options = parse_run(
        sys.argv[1:] if arguments is None else arguments,
        prog="python -m builderbrain.train world",
        description="Train a world model on sessions, for the value of asking. Safe to repeat: a run that was killed goes on.",
        epilog="example: python -m builderbrain.train world data=decisions.jsonl output=runs/world seed=0; docs/world.md",
        defaults=WorldTrainConfig(data="FILE", output="DIR"),
    )

    def train() -> None:
        config = load_config(WorldTrainConfig, options.config, options.overrides)
        check_output(Path(config.output))
        trainer = WorldTrainer(config)
        parameters = sum(parameter.numel() for parameter in trainer.world.parameters())
        print(f"{len(trainer.train)} sessions, {len(trainer.held_out)} held out, {parameters:,} parameters", flush=True)
        print(f"the trained world model is in {trainer.run()}", flush=True)

    return exit_status(train)
