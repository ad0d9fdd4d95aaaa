"""`python -m builderbrain.train [--config FILE] [--dry-run] [key=value ...]`, and its further commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from builderbrain.config import load_config, overrides_of
from builderbrain.errors import BuilderBrainError
from builderbrain.train import ingest, plot, synthesise

if TYPE_CHECKING:
    from builderbrain.train.trainer import Trainer


def _skills(arguments: Sequence[str]) -> int:
    from builderbrain.train.lifecycle import command  # brings torch

    return command.main(arguments)


def _decisions(arguments: Sequence[str]) -> int:
    from builderbrain.train.world import decisions  # with the agent, whose tools answer

    return decisions.main(arguments)


def _world(arguments: Sequence[str]) -> int:
    from builderbrain.train.world import command

    return command.main(arguments)


def _policy(arguments: Sequence[str]) -> int:
    from builderbrain.train.imagination import command

    return command.main(arguments)


def _chain(arguments: Sequence[str]) -> int:
    from builderbrain.train.tool_graph import command

    return command.main(arguments)


COMMANDS = {
    "ingest": ingest.main,
    "synthesise": synthesise.main,
    "plot": plot.main,
    "skills": _skills,
    "decisions": _decisions,
    "world": _world,
    "policy": _policy,
    "chain": _chain,
}
"""Commands beside training itself, which has no name of its own. Torch is imported for those that need it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of training; returns the exit status: 0 done, 2 refused with a reason."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    return _train(arguments)


def _train(arguments: Sequence[str]) -> int:
    from builderbrain.train.config import TrainConfig
    from builderbrain.train.ranks import Ranks, join_ranks
    from builderbrain.train.setup import build_trainer

    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.train",
        description="Train a builder rail beside a frozen base. Safe to repeat: a run that was killed goes on.",
        epilog="example: python -m builderbrain.train output=runs/mine steps=600 constraints.kl_budget.target=0.05; "
        "`ingest --help` says how logs become training data, `synthesise --help` how data is made up, `plot --help` how a run "
        "is looked at, `skills --help` what a trained rail's skills can undergo",
    )
    parser.add_argument("--config", type=Path, help="YAML file; keys as in builderbrain/train/config.py")
    parser.add_argument("--dry-run", action="store_true", help="check everything, print the plan of the run, train nothing")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override a key, e.g. steps=600")
    options = parser.parse_args(arguments)
    output, ranks = None, Ranks()
    try:
        config = load_config(TrainConfig, options.config, options.overrides)
        output = Path(config.output)
        ranks = join_ranks(patience=config.rank_timeout)
        ranks.say(f"loading {config.model} and the data ...")
        trainer, summary = build_trainer(replace(config, device=ranks.device(config.device)), ranks=ranks)
        ranks.say(str(summary))
        if options.dry_run:
            ranks.say("\n".join(f"  {override}" for override in overrides_of(config)))
            ranks.say(_rehearse(trainer))
        else:
            ranks.say(f"the trained rail is in {trainer.run()}")
        ranks.leave()
    except BuilderBrainError as error:
        ranks.leave(error.message)
        print(ranks.complaint(f"error: {error.message}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if ranks.first:
            print(f"\n{farewell(output)}", file=sys.stderr)
        return 130
    return 0


def _rehearse(trainer: Trainer) -> str:
    """All but training; returns what came of it."""
    trainer.resume()
    config, step = trainer.config, trainer.state.step
    if step:
        return f"{config.output} holds this run at step {step} of {config.steps}; it would go on from there"
    trainer.check()
    return "stage 0 passed: goldens, gradient flow, and the pair equals its base; nothing was trained"


def farewell(output: Path | None) -> str:
    """What becomes of an interrupted run, by what its output folder holds; None before that is known."""
    from builderbrain.train.checkpoint import load_checkpoint

    saved = None if output is None else load_checkpoint(output / "checkpoints")
    if saved is None:
        return "stopped before the first checkpoint; the same command starts anew"
    return f"stopped; the same command goes on from the checkpoint of step {saved.step}"


if __name__ == "__main__":
    sys.exit(main())
