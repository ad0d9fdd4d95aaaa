"""`python -m builderbrain.train [--config FILE] [--dry-run] [key=value ...]`, and its further commands."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builderbrain.errors import BuilderBrainError

if TYPE_CHECKING:
    from builderbrain.train.trainer import Trainer


def _ingest(arguments: Sequence[str]) -> int:
    from builderbrain.train import ingest

    return ingest.main(arguments)


def _synthesise(arguments: Sequence[str]) -> int:
    from builderbrain.train import synthesise

    return synthesise.main(arguments)


def _plot(arguments: Sequence[str]) -> int:
    from builderbrain.train import plot

    return plot.main(arguments)


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


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "ingest": _ingest,
    "synthesise": _synthesise,
    "plot": _plot,
    "skills": _skills,
    "decisions": _decisions,
    "world": _world,
    "policy": _policy,
    "chain": _chain,
}
"""Commands beside training itself, which has no name of its own. What a command needs is imported when it is given."""
_NOTHING_SAVED = "stopped before the first checkpoint; the same command starts anew"
_EPILOG = """example: python -m builderbrain.train output=runs/mine steps=600 constraints.kl_budget.target=0.05

further commands, each with a --help:
  ingest      logs become scrubbed, split and signed training data
  synthesise  made-up traces
  plot        the page of curves of a run
  skills      what a trained rail's skills can undergo
  chain       train the chain head of a rail on a graph of tools
  decisions   sessions for a world model
  world       train a world model on them

docs/training.md says what the keys mean"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of training; returns the exit status: 0 done, 2 refused with a reason, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments and arguments[0] in COMMANDS:
            return COMMANDS[arguments[0]](arguments[1:])
        return _train(arguments)
    except KeyboardInterrupt:  # while a command was still being imported, or by one that has no more to say
        print("\nstopped; give the same command again", file=sys.stderr)
        return 130


def _train(arguments: Sequence[str]) -> int:
    from dataclasses import replace

    from builderbrain.config import load_config, overrides_of
    from builderbrain.train.command_line import parse_run, unknown_command
    from builderbrain.train.config import TrainConfig

    unknown = unknown_command(arguments[0], COMMANDS) if arguments else None
    if unknown is not None:
        print(f"error: {unknown}", file=sys.stderr)
        return 2
    options = parse_run(
        arguments,
        prog="python -m builderbrain.train",
        description="Train a builder rail beside a frozen base. Safe to repeat: a run that was killed goes on.",
        epilog=_EPILOG,
        defaults=TrainConfig(),
        dry_run=True,
    )
    from builderbrain.train.ranks import Ranks, join_ranks
    from builderbrain.train.run_folder import check_output
    from builderbrain.train.setup import build_trainer

    output, ranks = None, Ranks()
    try:
        config = load_config(TrainConfig, options.config, options.overrides)
        output = Path(config.output)
        check_output(output)
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
    trainer.place.refuse_earlier(trainer.state.identity)
    trainer.check()
    return "stage 0 passed: goldens, gradient flow, and the pair equals its base; nothing was trained"


def farewell(output: Path | None) -> str:
    """What becomes of an interrupted run, by what its output folder holds; None before that is known."""
    if output is None:
        return _NOTHING_SAVED
    from builderbrain.train.checkpoint import load_checkpoint

    saved = load_checkpoint(output / "checkpoints")
    if saved is None:
        return _NOTHING_SAVED
    return f"stopped; the same command goes on from the checkpoint of step {saved.step}"


if __name__ == "__main__":
    sys.exit(main())
