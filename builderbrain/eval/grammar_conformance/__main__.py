"""`python -m builderbrain.eval.grammar_conformance`: derive the engine table, and measure what it gives.

Exit status: 0 written or current, 1 the table in the repository is not current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from builderbrain.eval.grammar_conformance.measure import Counts, Measured
from builderbrain.eval.grammar_conformance.table import as_lines, derive_table, measure_served
from builderbrain.eval.output import write_derived, write_json
from builderbrain.grammar.choosing import TABLE, engine_table


def main() -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.eval.grammar_conformance", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--check", action="store_true", help="write no table; fail when the one in the repository is not current"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write what is served here, feature by feature")
    options = parser.parse_args()
    text = as_lines(derive_table())
    if options.check:
        if text != TABLE.read_text(encoding="utf-8"):
            print(f"{TABLE.name} is not current; run python -m builderbrain.eval.grammar_conformance")
            return 1
    else:
        write_derived(TABLE, text)
        engine_table.cache_clear()
    served = measure_served()
    _print(served)
    if options.json is not None:
        write_json(options.json, as_json(served))
    return 0


def total(served: Measured) -> Counts:
    """All features together."""
    return Counts(**{name: sum(counts.to_json()[name] for counts in served.counts.values()) for name in Counts().to_json()})


def as_json(served: Measured) -> dict[str, Any]:
    """The report: totals, and each feature's counts with the libraries that its schemas were compiled with."""
    features = {name: counts.to_json() | {"engines": served.engines.get(name, {})} for name, counts in served.counts.items()}
    command = "python -m builderbrain.eval.grammar_conformance --json FILE"
    return {"suite": "grammar conformance", "command": command, "total": total(served).to_json(), "features": features}


def _print(served: Measured) -> None:
    print("wrongly refused, and what only the validator stops:")
    for feature, counts in served.counts.items():
        if counts.wrongly_refused or counts.wrongly_allowed:
            refused, stopped = f"{counts.wrongly_refused}/{counts.valid}", f"{counts.wrongly_allowed}/{counts.invalid}"
            print(f"  {feature:36s} {refused:>9s} {stopped:>9s}  {', '.join(served.engines.get(feature, {}))}")
    everything = total(served)
    instances = everything.valid + everything.invalid
    share = everything.wrongly_refused / everything.valid
    print(
        f"{everything.schemas} schemas, {instances} instances: {everything.handed_out} invalid ones handed out, "
        f"{everything.falsely_exact} under a mask called exact; {everything.wrongly_refused} of {everything.valid} valid ones "
        f"refused ({share:.2%})"
    )


if __name__ == "__main__":
    sys.exit(main())
