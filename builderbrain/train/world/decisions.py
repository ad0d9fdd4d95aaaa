"""`python -m builderbrain.train decisions --output FILE`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.data.trace import trace_to_json
from builderbrain.errors import BuilderBrainError, ConfigError, DataError
from builderbrain.storage import canonical_json, write_atomic
from builderbrain.train.world.sessions import decision_traces


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.train decisions",
        description="Write traces of sessions in which asking has a value, in every bundled domain that has tools. Those of "
        "repo_assistant call its tools on files in a temporary folder. Equal options give equal bytes.",
        epilog="`python -m builderbrain.train world data=FILE output=DIR` trains on them; docs/world.md",
    )
    parser.add_argument("--output", required=True, metavar="FILE", type=Path, help=".jsonl file to write or replace")
    parser.add_argument("--sessions", type=int, default=2400, help="number of sessions over all domains (default: 2400)")
    parser.add_argument("--seed", type=int, default=0, help="of the sessions (default: 0)")
    options = parser.parse_args(arguments)
    try:
        if options.sessions < 1:
            raise ConfigError(f"expected --sessions of at least 1, got {options.sessions}", field="sessions")
        traces = decision_traces(sessions=options.sessions, seed=options.seed)
        content = b"".join(canonical_json(trace_to_json(trace)) for trace in traces)
        try:
            write_atomic(options.output, content)
        except OSError as error:
            message = f"could not write {options.output}: {error.strerror}; name a file in a folder that exists and has room"
            raise DataError(message, field="output") from error
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    print(f"{options.sessions} sessions in {options.output}")
    return 0
