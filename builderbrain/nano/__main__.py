"""`python -m builderbrain.nano {pretrain,export,report}`: make the bundled base anew, and measure it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.errors import BuilderBrainError
from builderbrain.hosts.load import NANO, load_host
from builderbrain.nano.corpus import build_corpus
from builderbrain.nano.pretrain import NanoConfig, export, pretrain
from builderbrain.nano.report import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line of the recipe; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m builderbrain.nano", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("pretrain", help="train the base, or go on where a killed run stopped")
    train.add_argument("--output", type=Path, default=Path("runs/nano"))
    out = commands.add_parser("export", help="write a trained base as a model folder in bfloat16")
    out.add_argument("--run", type=Path, default=Path("runs/nano"))
    out.add_argument("--output", type=Path, required=True)
    measure = commands.add_parser("report", help="held-out bits per byte beside n-gram floors, as JSON")
    measure.add_argument("--model", default=NANO)
    options = parser.parse_args(arguments)
    config = NanoConfig()
    try:
        if options.command == "pretrain":
            pretrain(config, output=options.output)
        elif options.command == "export":
            export(config, run=options.run, output=options.output)
        else:
            corpus = build_corpus(synthetic_documents_count=config.synthetic_documents, seed=config.seed)
            print(json.dumps(dataclasses.asdict(report(load_host(options.model), corpus)), indent=1))
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
