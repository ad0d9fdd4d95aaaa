"""What a tool is: an async function from checked arguments to declared results, confined to a working root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builderbrain.tools.root import WorkingRoot
from builderbrain.tools.sandbox.confinement import Confinement

MAX_TEXT_BYTES = 32 * 1024
"""Longest `text` a tool returns, in bytes of UTF-8."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why the step failed that a fallback is called for. `details` is what its tool left for the fallback."""

    step: str
    skill: str
    code: str | None
    message: str
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class ToolContext:
    """What a tool may use beside its arguments.

    Args:
        root: every path is opened beneath it.
        timeout_seconds: the executor cancels the tool after this time; a tool that starts a process gives it less.
        key: idempotency key of a call with effects, the same in every attempt and after a restart; None for a call without.
        attempt: number of this call of the step, from 1.
        writes: whether the skill may change the working root (it is not `read_only`).
        network: whether the tool declares that it needs the network.
        state: folder in which tools keep what lasts beyond a plan, such as the memory; None where there is none.
        failure: what the tool is the fallback for; None for a step of the plan.
    """

    root: WorkingRoot
    timeout_seconds: float
    key: str | None = None
    attempt: int = 1
    writes: bool = False
    network: bool = False
    state: Path | None = None
    failure: Failure | None = None

    @property
    def confinement(self) -> Confinement:
        """What processes of the tool may reach."""
        return Confinement(root=self.root.folder, writes=self.writes, network=self.network)


Results = Mapping[str, Any]
"""Results by name, those of the schema without `ok`. A path result is None when there is none."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool: the skill it does, and how.

    `run` may be cancelled at any await and then leaves nothing behind: no process, no open file. It raises `ToolError`,
    `ToolTimeoutError` or `PathEscapeError` for every failure it knows of; with a `ToolError` other than a timeout it says that
    nothing was changed, and with `TransientToolError` also that the same call may succeed later.

    Args:
        was_done: asks the outside world whether the call with the context's `key` had its effect: its results when it had,
            None when it had not and never will. It raises when it cannot tell. A tool without it cannot be asked.
        network: whether its processes need the network.
    """

    skill: str
    run: Callable[[ToolContext, Mapping[str, Any]], Awaitable[Results]]
    was_done: Callable[[ToolContext, Mapping[str, Any]], Awaitable[Results | None]] | None = None
    network: bool = False


async def leaves_nothing(_: ToolContext, __: Mapping[str, Any]) -> Results | None:
    """`was_done` of a tool whose call, once it is over or was stopped, has changed nothing: it was not done."""
    return None


def cut_text(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """The text, cut at a whole character within `limit` bytes, with a mark that says so."""
    encoded = text.encode("utf-8")
    if len(encoded) <= limit:
        return text
    kept = encoded[:limit].decode("utf-8", errors="ignore")
    return f"{kept}\n[cut: {len(kept.encode('utf-8'))} of {len(encoded)} bytes shown]"
