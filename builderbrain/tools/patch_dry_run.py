"""`patch_dry_run`: whether a unified diff applies to the working root. Its process may not write there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builderbrain.tools.base import Results, Tool, ToolContext, cut_text, leaves_nothing
from builderbrain.tools.patching import judge_patch

SHOWN_FILES = 50


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Judge `patch`. The result `patch` is the diff itself when it applies, so that `fix_tests` takes no other."""
    patch = arguments["patch"] if arguments["patch"].endswith("\n") else arguments["patch"] + "\n"
    judged = await judge_patch(patch, context.confinement, timeout_seconds=context.timeout_seconds * 0.9)
    lines = [f"{path}: {added} lines added, {taken} taken out" for added, taken, path in judged.files[:SHOWN_FILES]]
    if len(judged.files) > SHOWN_FILES:
        lines.append(f"[{SHOWN_FILES} of {len(judged.files)} files shown]")
    return {
        "applies": judged.applies,
        "patch": patch if judged.applies else None,
        "count": len(judged.files),
        "first_path": judged.files[0][2] if judged.files else None,
        "text": cut_text("\n".join(["The diff applies:", *lines]) if judged.applies else f"It does not apply: {judged.reason}"),
    }


TOOL = Tool(skill="patch_dry_run", run=run, was_done=leaves_nothing)
