"""`python -m builderbrain.train plot LOG... [--out FILE]`: the page of curves of a run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from builderbrain.errors import BuilderBrainError, DataError
from builderbrain.storage import write_atomic
from builderbrain.train.curves import curves_page
from builderbrain.train.curves.log import read_log


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 done, 2 refused with a reason."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.train plot",
        description="Plot the log of a run, finished or not, into one HTML page that needs no network.",
    )
    parser.add_argument(
        "logs",
        type=Path,
        nargs="+",
        metavar="LOG",
        help="output folder of a run, or its log.jsonl; then others that add to it",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the page goes (default: curves.html beside the log)")
    options = parser.parse_args(arguments)
    log: Path = options.logs[0]
    folder = log if log.is_dir() else log.parent
    out = options.out or folder / "curves.html"
    try:
        page = curves_page([read_log(one) for one in options.logs], title=f"Run {folder.resolve().name}")
        if out.is_dir() or not out.absolute().parent.is_dir():
            raise DataError(f"expected --out FILE in a folder that exists, got {out}; make the folder first", field="out")
        write_atomic(out, page.encode())
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: cannot write {out}: {error.strerror}; choose another --out", file=sys.stderr)
        return 2
    print(f"wrote {out}")
    return 0
