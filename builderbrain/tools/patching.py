"""Unified diffs, judged and applied by `git apply` in the sandbox.

Neither a repository nor settings of the machine are looked for, so that none of them hold. git itself refuses paths that leave
the folder, lead through links, or go into `.git`; the sandbox would stop them too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from builderbrain.errors import ToolError
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.sandbox.confinement import Confinement
from builderbrain.tools.scratch import scratch_file

MAX_OUTPUT_BYTES = 1024 * 1024
_LETTERS = re.compile(r"^(?:--- a/|\+\+\+ b/|diff --git a/)", re.MULTILINE).search
"""Whether the paths of a diff begin with the letters that git gives them."""
_SETTINGS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
_GIT = ("git", "--git-dir=/nonexistent", "apply", "--whitespace=nowarn")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Whether a diff applies.

    `files` are those that it changes, as lines added, lines taken out and path; `strip` is how many leading parts its paths
    have too many; `reason` says why it does not apply.
    """

    applies: bool
    files: tuple[tuple[str, str, str], ...] = ()
    strip: int = 1
    reason: str = ""


async def judge_patch(patch: str, confinement: Confinement, *, timeout_seconds: float, reverse: bool = False) -> Judged:
    """Whether a diff applies in the confinement's root; nothing is written.

    Args:
        reverse: whether it can be taken back instead.

    Raises:
        ToolError: git cannot be started, or breaks.
        ToolTimeoutError: it ran too long.
    """
    reasons: list[str] = []
    looking = replace(confinement, writes=False)
    for strip in (1,) if _LETTERS(patch) else (0, 1):
        options = ["--check", "--numstat", "-z", f"-p{strip}", *(["--reverse"] if reverse else [])]
        finished = await _git(options, patch, looking, timeout_seconds / 2)
        if finished.status == 0:
            files = _files(finished.output)
            if files:
                return Judged(applies=True, files=files, strip=strip)
            reasons.append("it changes no file")
        elif finished.status in (1, 128) and b"fatal: " not in finished.error:
            reasons.append(_reason(finished))
        else:
            raise ToolError(f"git ended with status {finished.status}: {_reason(finished)}")
    return Judged(applies=False, reason=reasons[0])


async def apply_patch(
    patch: str, judged: Judged, confinement: Confinement, *, timeout_seconds: float, reverse: bool = False
) -> None:
    """Apply a diff that was judged to apply, or take it back.

    Raises:
        ToolError: it does not apply any more; nothing was changed.
        ToolTimeoutError: it ran too long, and may have changed some of the files.
    """
    options = [f"-p{judged.strip}", *(["--reverse"] if reverse else [])]
    finished = await _git(options, patch, confinement, timeout_seconds)
    if finished.status != 0:
        raise ToolError(f"the diff does not apply any more, nothing was changed: {_reason(finished)}", field="patch")


async def _git(options: Sequence[str], patch: str, confinement: Confinement, timeout_seconds: float) -> Finished:
    with scratch_file(patch) as file:
        return await run_process(
            [*_GIT, *options, "--", str(file)],
            folder=str(confinement.root),
            timeout_seconds=timeout_seconds,
            max_output_bytes=MAX_OUTPUT_BYTES,
            confinement=_also_reading(confinement, file.parent),
            variables=_SETTINGS,
        )


def _also_reading(confinement: Confinement, folder: Path) -> Confinement:
    return replace(confinement, reads=(*confinement.reads, str(folder)))


def _files(output: bytes) -> tuple[tuple[str, str, str], ...]:
    """`added TAB taken TAB path NUL`; of a renamed file the path is empty, and the old and the new one follow."""
    parts = output.decode("utf-8", errors="replace").split("\0")
    found: list[tuple[str, str, str]] = []
    while parts:
        fields = parts.pop(0).split("\t", 2)
        if len(fields) == 3:
            path = fields[2]
            if not path and len(parts) >= 2:
                parts.pop(0)
                path = parts.pop(0)
            found.append((fields[0], fields[1], path))
    return tuple(found)


def _reason(finished: Finished) -> str:
    lines = [line.removeprefix("error: ") for line in finished.error.decode("utf-8", errors="replace").strip().splitlines()]
    return "; ".join(lines[:4])[:500] if lines else f"git gave no reason (status {finished.status})"
