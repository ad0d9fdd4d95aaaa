"""Calls of the repository assistant's tools, and processes that misbehave in the place of real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from builderbrain.plan import get_domain
from builderbrain.tools.base import ToolContext
from builderbrain.tools.registry import tools_of
from builderbrain.tools.root import WorkingRoot

DOMAIN, VERSION = "repo_assistant", 2


def context_of(
    folder: Path, skill: str, *, seconds: float = 60.0, key: str | None = None, state: Path | None = None
) -> ToolContext:
    writes = get_domain(DOMAIN, VERSION).skills[skill].safety != "read_only"
    return ToolContext(root=WorkingRoot(folder), timeout_seconds=seconds, key=key, writes=writes, state=state)


def call(folder: Path, skill: str, *, seconds: float = 60.0, key: str | None = None, state: Path | None = None,
         **arguments: Any) -> Mapping[str, Any]:  # fmt: skip
    """Call a tool; its results are exactly those that the schema declares."""
    context = context_of(folder, skill, seconds=seconds, key=key, state=state)
    results = anyio.run(tools_of(DOMAIN, VERSION)[skill].run, context, arguments)
    assert set(results) == set(get_domain(DOMAIN, VERSION).skills[skill].results) - {"ok"}
    return results


def asked(folder: Path, skill: str, *, key: str | None = None, state: Path | None = None, **arguments: Any) -> Any:
    """What a tool says of whether a call was done."""
    tool = tools_of(DOMAIN, VERSION)[skill]
    assert tool.was_done is not None
    return anyio.run(tool.was_done, context_of(folder, skill, key=key, state=state), arguments)


def write(folder: Path, **texts: str) -> None:
    """Files by name, with `__` for a slash and a single `_` before the ending for its dot: `tests__test_a_py`."""
    for name, text in texts.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = folder / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


MISBEHAVING = {
    "crash": "import sys; sys.stderr.write('boom\\n'); sys.exit(3)",
    "garbage": "print('no result at all')",
    "silence": "",
    "other form": 'print(\'{"status": "high"}\')',
    "list": "print('[1, 2]')",
    "deep": "print('[' * 100000)",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
}
"""Scripts by what they do wrong."""
HANGING = "import time; time.sleep(600)"
FLOOD = "import os\nwhile True: os.write(1, b'x' * 65536)"
