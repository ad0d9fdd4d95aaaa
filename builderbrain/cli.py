"""`bb`: one command for the project's entry points, each of which is also `python -m builderbrain.NAME`.

Only the chosen module is imported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "serve": "serve a base and its rail over an OpenAI-compatible API",
    "learn": "serve, and train candidates from the traffic",
    "train": "train a rail",
    "gate": "evaluate, promote, roll back, list and verify rail versions",
    "eval": "run the benches",
    "plan": "check, repair and run plans, and work with domain schemas",
    "mcp": "list and approve the tools of MCP servers",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Dispatch to the entry point of a command; gives its exit code, 2 for an unknown command."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(usage())
        return 0 if given else 2
    command, *rest = given
    if command not in COMMANDS:
        print(f"error: expected one of {', '.join(COMMANDS)}, got {command!r}\n\n{usage()}", file=sys.stderr)
        return 2
    code = importlib.import_module(f"builderbrain.{command}.__main__").main(rest)
    return int(code or 0)


def usage() -> str:
    """The commands and what they do."""
    lines = [f"  {name:<8}{text}" for name, text in COMMANDS.items()]
    return "usage: bb COMMAND ...\n\n" + "\n".join(lines) + "\n\nbb COMMAND --help says more."


if __name__ == "__main__":
    sys.exit(main())
