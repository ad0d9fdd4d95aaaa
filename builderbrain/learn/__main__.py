"""`python -m builderbrain.learn`: the server of `python -m builderbrain.serve`, with a learner. Its options are that command's;
`--learn FOLDER` is `learning` when not given."""

from __future__ import annotations

import sys
from collections.abc import Sequence

DEFAULT_FOLDER = "learning"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; the exit code is 2 when it refuses to start."""
    from builderbrain.learn.attach import attach
    from builderbrain.serve.__main__ import main as serve

    given = list(sys.argv[1:] if arguments is None else arguments)
    if not any(argument == "--learn" or argument.startswith("--learn=") for argument in given):
        given += ["--learn", DEFAULT_FOLDER]
    return serve(given, learner=attach)


if __name__ == "__main__":
    sys.exit(main())
