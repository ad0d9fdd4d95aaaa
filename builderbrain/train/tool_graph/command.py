"""`python -m builderbrain.train chain [--config FILE] tool_graph.rows=FILE output=DIR [key=value ...]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.config import load_config
from builderbrain.train.command_line import exit_status, parse_run
from builderbrain.train.run_folder import check_output
from builderbrain.train.tool_graph.chain_config import ChainTrainConfig
from builderbrain.train.tool_graph.chain_trainer import ChainTrainer


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason, 130 interrupted."""
    options = parse_run(
        sys.argv[1:] if arguments is None else arguments,
        prog="python -m builderbrain.train chain",
        description="Train the chain head of a rail on a graph of tools. Safe to repeat: a run that was killed goes on.",
        epilog="example: python -m builderbrain.train chain tool_graph.rows=ultratool/train.jsonl.gz tool_graph.cut=0.1 "
        "output=runs/chain; docs/toolgraph.md",
        defaults=ChainTrainConfig(),
    )

    def train() -> None:
        config = load_config(ChainTrainConfig, options.config, options.overrides)
        check_output(Path(config.output))
        trainer = ChainTrainer(config)
        parameters = sum(parameter.numel() for parameter in trainer.head.parameters())
        fitted = 0 if trainer.head.linear is None else trainer.head.linear.weights.numel()
        print(f"{trainer.rows}; {parameters:,} parameters, {fitted:,} more in closed form, {trainer.steps} steps", flush=True)
        print(f"the trained rail is in {trainer.run()}", flush=True)

    return exit_status(train)
