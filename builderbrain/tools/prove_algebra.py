"""`prove_algebra`: whether an algebraic identity holds over the real numbers, wherever both of its sides are defined.

The claim is read here, by a grammar of its own (`claim`), and decided by sympy in the sandbox, with bounds on time and memory.
What takes too long is `unknown`, which is an answer: no claim can make this tool hang, and none is ever run as code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builderbrain.errors import ToolError, ToolTimeoutError
from builderbrain.tools.base import Results, Tool, ToolContext, leaves_nothing
from builderbrain.tools.claim import Claim, parse_claim
from builderbrain.tools.process import Finished, run_process
from builderbrain.tools.sandbox.confinement import Limits

MAX_OUTPUT_BYTES = 64 * 1024
LIMITS = Limits(processes=8, memory_bytes=1024**3, file_bytes=1024)
_WORKER = Path(__file__).with_name("prove_algebra_worker.py")
_KILLED = 128


class _Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    verdict: Literal["holds", "fails", "unknown"]
    counterexample: Annotated[str, Field(max_length=4096)] | None
    reason: Annotated[str, Field(max_length=4096)]


async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
    """Decide `claim`. `holds` is null when the verdict is `unknown`."""
    claim = parse_claim(arguments["claim"])
    seconds = context.timeout_seconds * 0.85
    try:
        found = await _decided(context, claim, seconds)
    except ToolTimeoutError:
        found = _Verdict(verdict="unknown", counterexample=None, reason=f"it was not decided within {seconds:.3g} s")
    where = f" for {found.counterexample}" if found.counterexample else ""
    return {
        "verdict": found.verdict,
        "holds": None if found.verdict == "unknown" else found.verdict == "holds",
        "counterexample": found.counterexample,
        "text": f"{arguments['claim']}: {found.verdict}{where}; {found.reason}",
    }


async def _decided(context: ToolContext, claim: Claim, seconds: float) -> _Verdict:
    request = json.dumps({"left": claim.left, "right": claim.right, "names": claim.names})
    finished = await run_process(
        [sys.executable, "-I", "-B", str(_WORKER), request],
        folder="/",
        timeout_seconds=seconds,
        max_output_bytes=MAX_OUTPUT_BYTES,
        confinement=replace(context.confinement, writes=False, limits=LIMITS),
    )
    if finished.status > _KILLED:
        return _Verdict(verdict="unknown", counterexample=None, reason="the system stopped it at a limit")
    return _verdict(finished)


def _verdict(finished: Finished) -> _Verdict:
    error = finished.error.decode("utf-8", errors="replace").strip().splitlines()
    if finished.status != 0 and error and "No module named 'sympy'" in error[-1]:
        raise ToolError("sympy is not installed where this server runs; install it there (pip install sympy)")
    try:
        if finished.status != 0:
            raise ValueError
        return _Verdict.model_validate_json(finished.output)
    except (ValueError, ValidationError):
        said = error[-1][:200] if error else "it said nothing"
        raise ToolError(f"the algebra process ended with status {finished.status} and no verdict: {said}") from None


TOOL = Tool(skill="prove_algebra", run=run, was_done=leaves_nothing)
