"""Errors in OpenAI's shape, `{"error": {"message", "type", "param", "code"}}`, with the right status; beside OpenAI's
fields each has its class, severity and recovery.

An error of the project says what was expected, so its message goes out as it is. Any other exception is a fault of the
server: the client learns that and the request id, the log learns the rest, and neither learns the prompt.
"""

from __future__ import annotations

import json
import logging
import math
import traceback
from typing import Any

from starlette.responses import Response

from builderbrain import errors

logger = logging.getLogger(__name__)

_STATUSES: tuple[tuple[type[errors.BuilderBrainError], int, str], ...] = (
    (errors.UnknownModelError, 404, "not_found_error"),
    (errors.ResourceNotFoundError, 404, "not_found_error"),
    (errors.InvalidRequestError, 400, "invalid_request_error"),
    (errors.GrammarLimitError, 400, "invalid_request_error"),
    (errors.GrammarRefusedError, 400, "invalid_request_error"),
    (errors.PathEscapeError, 400, "invalid_request_error"),
    (errors.PlanSyntaxError, 400, "invalid_request_error"),
    (errors.AuthenticationError, 401, "authentication_error"),
    (errors.AdministrationError, 403, "permission_error"),
    (errors.GateRefusedError, 403, "permission_error"),
    (errors.NotConfirmedError, 409, "conflict_error"),
    (errors.PolicyError, 403, "permission_error"),
    (errors.ExecutionNotFoundError, 404, "not_found_error"),
    (errors.ConfirmationNotFoundError, 404, "not_found_error"),
    (errors.LedgerError, 409, "conflict_error"),
    (errors.NoToolsError, 409, "conflict_error"),
    (errors.NoRailError, 409, "conflict_error"),
    (errors.VersionNotFoundError, 404, "not_found_error"),
    (errors.ConflictError, 409, "conflict_error"),
    (errors.RegistryBusyError, 409, "conflict_error"),
    (errors.TamperedVersionError, 409, "conflict_error"),
    (errors.BodyTooLargeError, 413, "invalid_request_error"),
    # Neither the request alone is wrong nor the server: this model found no such output, and a simpler constraint helps.
    (errors.ConstraintViolatedError, 422, "invalid_request_error"),
    (errors.MaskEmptyError, 422, "invalid_request_error"),
    # A plan that reads well and is not sound; /v1/plans/check names every fault, /v1/plans/repair may mend it.
    (errors.PlanRejectedError, 422, "invalid_request_error"),
    (errors.QueueFullError, 429, "rate_limit_error"),
    (errors.RateLimitError, 429, "rate_limit_error"),
    (errors.NotReadyError, 503, "server_error"),
    (errors.DeadlineError, 504, "timeout_error"),
)
RETRY_SECONDS = {429: 1, 503: 5}


def status_of(kind: type[BaseException]) -> int:
    """The HTTP status that exceptions of a kind become."""
    return next((status for known, status, _ in _STATUSES if issubclass(kind, known)), 500)


def error_body(error: BaseException, request_id: str) -> dict[str, Any]:
    """The reply to an exception, which is logged when it is the server's fault."""
    for kind, _, name in _STATUSES:
        if isinstance(error, kind):
            return _body(error.message, name, error.field, error.code, error.classification)
    log_failure(error, request_id)
    if isinstance(error, errors.BuilderBrainError):
        return _body(error.message, "server_error", error.field, error.code, error.classification)
    message = f"the server failed on this request; its log says more under request id {request_id}"
    return _body(message, "server_error", None, "internal")


def error_reply(error: BaseException, request_id: str) -> Response:
    """`error_body` as a response."""
    status = status_of(type(error))
    seconds = error.retry_after if isinstance(error, errors.RateLimitError) else RETRY_SECONDS.get(status)
    headers = {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_reply(error_body(error, request_id), status=status, headers=headers)


def json_reply(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response. Lone surrogates, which UTF-8 cannot carry, go out as escapes."""
    return Response(encode(body), status_code=status, headers=headers, media_type="application/json")


def encode(body: Any) -> bytes:
    """Compact JSON bytes."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(body, allow_nan=False, separators=(",", ":")).encode()


def log_failure(error: BaseException, request_id: str) -> None:
    """Log where a request failed. Exception messages may quote prompts, so only types and places are logged."""
    places = "".join(traceback.format_tb(error.__traceback__))
    logger.error("request %s failed with %s\n%s", request_id, type(error).__name__, places)


def _body(
    message: str, kind: str, parameter: str | None, code: str, classed: errors.Classification | None = None
) -> dict[str, Any]:
    more = (errors.classify(code) if classed is None else classed).to_json()
    return {"error": {"message": message, "type": kind, "param": parameter, "code": code, **more}}
