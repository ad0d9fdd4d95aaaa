"""`python -m builderbrain.train ingest INPUT... --output DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.data.dataset import QUARANTINE, Dataset
from builderbrain.data.formats import FORMAT_NAMES, has_rows, open_reader, row_files
from builderbrain.data.ingest import IngestConfig, ingest
from builderbrain.data.json_lines import parse_object, read_lines
from builderbrain.data.split import SPLITS, SplitConfig
from builderbrain.errors import BuilderBrainError

_SHOWN_REASONS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.train ingest",
        description="Turn logs into scrubbed, split and signed training data. Safe to repeat: what was killed goes on.",
        epilog="docs/traces.md describes the formats, what is scrubbed and how plans are extracted",
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", type=Path, help="a .jsonl or .jsonl.gz file, or a folder of them")
    parser.add_argument("--output", required=True, metavar="DIR", type=Path, help="folder to make; a finished one is verified")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="format of the inputs (default: told from their first rows)")
    parser.add_argument("--domain", help="domain of rows that name none (default: the format's name)")
    parser.add_argument("--validation", type=float, default=0.1, metavar="SHARE", help="of the rows (default: 0.1)")
    parser.add_argument("--test", type=float, default=0.1, metavar="SHARE", help="of the rows (default: 0.1)")
    parser.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    parser.add_argument(
        "--key", metavar="FILE", type=Path, help="signing key (default: one beside the output, made when missing)"
    )
    options = parser.parse_args(arguments)
    try:
        split = SplitConfig(validation=options.validation, test=options.test, seed=options.seed)
        config = IngestConfig(
            inputs=tuple(options.inputs),
            output=options.output,
            format=options.format,
            domain=options.domain,
            split=split,
            key=options.key,
        )
        for file in row_files(config.inputs):
            rows = has_rows(file)
            told = open_reader(file, format=config.format, domain=config.domain).format if rows else "empty, skipped"
            print(f"{file}: {told}", flush=True)
        print_summary(ingest(config))
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from what is finished", file=sys.stderr)
        return 130
    return 0


def print_summary(dataset: Dataset) -> None:
    """What became of every row."""
    information = dataset.information
    for split in SPLITS[1:]:
        share = information["job"]["split"][split]
        if share and not information["rows"][split]:
            print(
                f"warning: no row fell into {split}, whose share is {share}; rows of one group or with one request stay "
                "together, so give more of them, another --seed, or a share of 0",
                file=sys.stderr,
            )
    if not information["rows"]["train"]:
        print("warning: no row fell into train; give more groups or requests, or another --seed", file=sys.stderr)
    print(", ".join(f"{count} {split}" for split, count in information["rows"].items()) + f" in {dataset.path}")
    print(f"{information['repeated']} repeated rows left out, {information['quarantined']} quarantined")
    for heading, name in (("plans", "plans"), ("replaced by placeholders", "scrubbed"), ("keys not read", "ignored_keys")):
        listed = ", ".join(f"{count} {key}" for key, count in information[name].items())
        print(f"{heading}: {listed or 'none'}")
    for shown, line in enumerate(read_lines(dataset.path / QUARANTINE)):
        if shown == _SHOWN_REASONS:
            print(f"  ... all in {dataset.path / QUARANTINE}")
            break
        rejected = parse_object(line)
        print(f"  {rejected['file']}:{rejected['line']}: {rejected['reason']}")
