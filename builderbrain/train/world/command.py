"""`python -m builderbrain.train world [--config FILE] data=FILE output=DIR [key=value ...]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.config import load_config
from builderbrain.errors import BuilderBrainError
from builderbrain.train.world.config import WorldTrainConfig
from builderbrain.train.world.trainer import WorldTrainer


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason, 130 interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.train world",
        description="Train a world model on sessions, for the value of asking. Safe to repeat: a run that was killed goes on.",
        epilog="example: python -m builderbrain.train world data=decisions.jsonl output=runs/world seed=0; docs/world.md",
    )
    parser.add_argument("--config", type=Path, help="YAML file; keys as in builderbrain/train/world/config.py")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override a key, e.g. steps=500")
    options = parser.parse_args(arguments)
    try:
        config = load_config(WorldTrainConfig, options.config, options.overrides)
        trainer = WorldTrainer(config)
        parameters = sum(parameter.numel() for parameter in trainer.world.parameters())
        print(f"{len(trainer.train)} sessions, {len(trainer.held_out)} held out, {parameters:,} parameters", flush=True)
        print(f"the trained world model is in {trainer.run()}", flush=True)
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0
