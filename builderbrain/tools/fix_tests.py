"""`fix_tests`: mends failing tests, bounded and honest. A change is tried in a copy of the root and kept only when it helps.

Two strategies. `patch`: the diff that is given, which `patch_dry_run` has judged. `suggested_name`, without a diff: misspelt
names, see there. A change helps when fewer tests fail, none fails that did not before, and all that passed still pass. Only
then is it applied to the root, in one short step; until then nothing there is touched, whatever tests do or however they end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread

from builderbrain.errors import ToolError, ToolTimeoutError
from builderbrain.tools.base import Results, Tool, ToolContext, cut_text
from builderbrain.tools.patching import apply_patch, judge_patch
from builderbrain.tools.pytest_run import TestRun, existing_path, run_pytest
from builderbrain.tools.sandbox.confinement import Confinement
from builderbrain.tools.scratch import copy_root, scratch_folder
from builderbrain.tools.suggested_name import Edit, edit_for

MAX_NAMES = 5
RESERVED_SECONDS = 30.0
"""Kept for applying the change, out of the time of the step (at most a fifth of it)."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A change that was tried: its diff, "" for none that helps, and the runs before and after."""

    patch: str
    before: TestRun
    after: TestRun
    said: tuple[str, ...]


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Mend the tests below `path` with `patch`, or with suggested names."""
    path = existing_path(context.root, arguments.get("path", "."))
    patch = arguments.get("patch")
    strategy = "suggested_name" if patch is None else "patch"
    reserved = min(RESERVED_SECONDS, context.timeout_seconds / 5)
    deadline = time.monotonic() + context.timeout_seconds - reserved
    with scratch_folder() as folder:
        await anyio.to_thread.run_sync(copy_root, context.root, folder)
        trial = _Trial(folder, path, deadline)
        before = await trial.tests()
        if not before.failures:
            said = "there are no tests here" if not before.count else f"nothing to mend: all {before.count} tests pass"
            return _results(_Found(patch="", before=before, after=before, said=(said,)), "none")
        try:
            found = await (trial.names(before) if patch is None else trial.patch(before, patch))
        except ToolTimeoutError as late:
            raise ToolError(f"nothing was changed: {late.message}; name fewer tests with path") from late
    if found.patch:
        judged = await judge_patch(found.patch, context.confinement, timeout_seconds=reserved * 0.4)
        if not judged.applies:
            raise ToolError(f"nothing was changed: the files changed while the fix was tried: {judged.reason}; try again")
        await apply_patch(found.patch, judged, context.confinement, timeout_seconds=reserved * 0.4)
    return _results(found, strategy if found.patch else "none")


async def was_done(context: ToolContext, arguments: Mapping[str, Any]) -> Results | None:
    """Whether the given diff stands in the root. A call without one cannot be asked about."""
    patch = arguments.get("patch")
    if patch is None:
        raise ToolError("which names were mended is not known; compare the files with version control")
    seconds = context.timeout_seconds / 3
    if (await judge_patch(patch, context.confinement, timeout_seconds=seconds)).applies:
        return None
    if not (await judge_patch(patch, context.confinement, timeout_seconds=seconds, reverse=True)).applies:
        raise ToolError("the diff is neither applied nor does it apply; compare the files with version control")
    return {
        "fixed": True,
        "before": None,
        "after": None,
        "strategy": "patch",
        "applied": patch,
        "text": "The diff was applied before the restart.",
    }


class _Trial:
    """Tries changes in a copy of the root."""

    def __init__(self, folder: Path, path: str, deadline: float) -> None:
        self._folder, self._path, self._deadline = folder, path, deadline
        self._confinement = Confinement(root=folder, writes=True)

    @property
    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise ToolTimeoutError("the tests took all of the time")
        return left

    async def tests(self) -> TestRun:
        """Run the tests as the copy is now."""
        return await run_pytest(self._path, self._confinement, timeout_seconds=self._left)

    async def patch(self, before: TestRun, patch: str) -> _Found:
        """Try a diff."""
        judged = await judge_patch(patch, self._confinement, timeout_seconds=self._left)
        if not judged.applies:
            raise ToolError(f"nothing was changed: the diff does not apply: {judged.reason}", field="patch")
        await apply_patch(patch, judged, self._confinement, timeout_seconds=self._left)
        after = await self.tests()
        if helps(before, after):
            said = f"the diff helps: {len(before.failures)} tests failed before, {len(after.failures)} fail with it"
            return _Found(patch=patch, before=before, after=after, said=(said,))
        return _Found(patch="", before=before, after=before, said=(f"the diff does not help: {_why_not(before, after)}",))

    async def names(self, before: TestRun) -> _Found:
        """Try suggested names one after the other, at most five; each that helps stays in the copy."""
        now, said = before, list[str]()
        firsts, lasts = dict[str, str](), dict[str, str]()
        tried: set[tuple[str, int, str]] = set()
        for _ in range(MAX_NAMES):
            options = [one.suggestion for one in now.failures if one.suggestion is not None]
            chosen = next((one for one in options if (one.path, one.line, one.wrong) not in tried), None)
            if chosen is None:
                break
            tried.add((chosen.path, chosen.line, chosen.wrong))
            edit = edit_for(chosen, self._folder)
            if edit is None:
                continue
            forward = await judge_patch(edit.diff(), self._confinement, timeout_seconds=self._left)
            await apply_patch(edit.diff(), forward, self._confinement, timeout_seconds=self._left)
            after = await self.tests()
            named = f"{edit.path}:{chosen.line}: {chosen.right} in place of {chosen.wrong}"
            if helps(now, after):
                now = after
                firsts.setdefault(edit.path, edit.before)
                lasts[edit.path] = edit.after
                said.append(f"{named} helps")
            else:
                await apply_patch(edit.diff(), forward, self._confinement, timeout_seconds=self._left, reverse=True)
                said.append(f"{named} does not help: {_why_not(now, after)}")
        if not said:
            said.append("no failing test names something that is nearly spelt like a name that exists; give a patch")
        mended = "".join(Edit(path=path, before=firsts[path], after=lasts[path]).diff() for path in sorted(firsts))
        return _Found(patch=mended, before=before, after=now, said=tuple(said))


def helps(before: TestRun, after: TestRun) -> bool:
    """Whether fewer tests fail, none of them new, and all that passed still pass."""
    failed, fails = {one.test for one in before.failures}, {one.test for one in after.failures}
    return fails < failed and before.passed <= after.passed


def _why_not(before: TestRun, after: TestRun) -> str:
    fails = {one.test for one in after.failures}
    new = sorted(fails - {one.test for one in before.failures})
    if new:
        return f"{new[0]} fails with it"
    gone = sorted(before.passed - after.passed)
    if gone:
        return f"{gone[0]} passed before and does not run with it"
    return f"{len(fails)} tests fail as before"


def _results(found: _Found, strategy: str) -> Results:
    return {
        "fixed": bool(found.patch),
        "before": len(found.before.failures),
        "after": len(found.after.failures),
        "strategy": strategy,
        "applied": found.patch,
        "text": cut_text("\n".join(found.said)),
    }


TOOL = Tool(skill="fix_tests", run=run, was_done=was_done)
