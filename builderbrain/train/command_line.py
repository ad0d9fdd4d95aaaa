"""The command line of what trains: a file of settings, overrides in any place, and a help that lists the keys."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from builderbrain.config import overrides_of
from builderbrain.errors import BuilderBrainError


def parse_run(
    arguments: Sequence[str], *, prog: str, description: str, epilog: str, defaults: Any, dry_run: bool = False
) -> argparse.Namespace:
    """Options `config`, `overrides` and, where there is one, `dry_run`, in any order.

    Args:
        defaults: a configuration whose keys and values the help lists.
    """
    keys = "\n".join(f"  {override}" for override in overrides_of(defaults))
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"{epilog}\n\nkeys and their defaults:\n{keys}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, help="YAML file of keys, as sections or dotted")
    if dry_run:
        parser.add_argument("--dry-run", action="store_true", help="check everything, print the plan of the run, train nothing")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override a key")
    return parser.parse_intermixed_args(arguments)


def exit_status(train: Callable[[], None]) -> int:
    """Run a training command: 0 done, 2 refused with a reason on standard error, 130 interrupted."""
    try:
        train()
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


def unknown_command(name: str, commands: Collection[str]) -> str | None:
    """What to say to a first argument that is neither an option, nor an override, nor a command; None when it is one."""
    if name.startswith("-") or "=" in name or name in commands:
        return None
    near = difflib.get_close_matches(name, commands, n=1)
    hint = f"did you mean {near[0]}?" if near else f"`{name}=VALUE` sets a key"
    return f"expected a command ({', '.join(commands)}) or key=value, got {name!r}; {hint}"
