"""The error object of a call that failed: a problem (RFC 9457) with an explanation in words, whatever the server said.

What the server said is quoted, cut and marked as its own; nothing of it is an instruction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builderbrain.tools.base import Failure

_LONGEST_DETAIL = 500
_BY_STATUS = {
    400: "The server did not understand the values; check them and plan again.",
    401: "The server wants credentials; whoever runs this has to give them.",
    402: "The server wants a payment that did not go through; nothing was paid.",
    403: "The server does not allow it for these credentials.",
    404: "The server has nothing of this name; look for the right id first.",
    409: "The server is in a state that does not fit; look at it first.",
    410: "The server had it once and has it no more.",
    422: "The server refused the values; check them and plan again.",
    429: "The server was asked too often; try again later.",
}
_BY_CODE = {
    "answer_lost": "No answer came, so that it is not known whether it was done; look before it is tried again.",
    "tool_timeout": "The server took too long, so that it is not known whether it was done; look before it is tried again.",
    "garbage_answer": "The answer was not what the server's own description allows, so it was not used.",
    "tool_unavailable": "The server cannot be reached now; try again later.",
    "tool_cooling_down": "The server failed several times in a row and is left alone for a while; try again later.",
    "tool_failed": "The call was not made, or not accepted.",
}
_LATER = frozenset({"answer_lost", "tool_unavailable", "tool_cooling_down"})


def server_problem(status: int, body: bytes) -> dict[str, Any]:
    """What an answer that is no success says, for the fallback: status, title and detail, cut."""
    found: dict[str, Any] = {"status": status}
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return found
    if isinstance(said, dict):
        nested = said.get("error")
        source = nested if isinstance(nested, dict) else said
        for name, keys in (("title", ("title", "type", "code")), ("detail", ("detail", "message", "error"))):
            value = next((source[key] for key in keys if isinstance(source.get(key), str)), None)
            if value is not None:
                found[name] = value[:_LONGEST_DETAIL]
    return found


def said_by(problem: Mapping[str, Any]) -> str:
    """The server's own words in a message; empty when it said none."""
    words = problem.get("detail") or problem.get("title")
    return f": {words}" if words else ""


def problem_object(failure: Failure | None) -> dict[str, Any]:
    """The error object for a failure; a well-formed one too when there was none."""
    if failure is None:
        return {"type": "about:blank", "title": "nothing failed", "code": "no_failure", "explanation": "No call failed."}
    details = failure.details or {}
    status = details.get("status")
    code = failure.code or "tool_failed"
    by_status = _BY_STATUS.get(status, "The server failed; try again later." if status >= 500 else None) if status else None
    problem: dict[str, Any] = {"type": "about:blank", "title": str(details.get("title") or f"{failure.skill} failed")}
    if status is not None:
        problem["status"] = status
    if "detail" in details:
        problem["detail"] = details["detail"]
    problem |= {
        "code": code,
        "skill": failure.skill,
        "step": failure.step,
        "message": failure.message[:_LONGEST_DETAIL],
        "explanation": (None if code == "answer_lost" and status is None else by_status)
        or _BY_CODE.get(code, _BY_CODE["tool_failed"]),
        "try_again_later": code in _LATER or status in (429, 502, 503, 504),
    }
    return problem
