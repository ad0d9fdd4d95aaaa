"""Calls the operations of an API: sends, judges the answer by the server's own description, and says whose fault a failure is.

An answer that is no success is an answer (`ToolError`), one of the server's own failures may have had its effect
(`LostAnswerError`), and one that its description does not allow is garbage (`GarbageAnswerError`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError, GarbageAnswerError, LostAnswerError, ToolError, TransientToolError
from builderbrain.plan.openapi.answers import BODY
from builderbrain.plan.openapi.document import Document
from builderbrain.plan.openapi.operations import Operation
from builderbrain.tools.api.fit import Fit, at
from builderbrain.tools.api.problem import said_by, server_problem
from builderbrain.tools.api.request import Requests
from builderbrain.tools.base import Results, ToolContext, cut_text
from builderbrain.tools.web.exchange import Answer, exchange
from builderbrain.tools.web.origin import Origin, read_origin

_OWN_SHARE = 0.9
"""Of a skill's time: so that the client says what happened before the executor stops it."""
_NOT_IMPLEMENTED = (501, 505)


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """Where an API is, from the configuration; no plan can say it.

    Args:
        base_url: what the paths of the OpenAPI file are appended to.
        headers: sent with every call, such as Authorization; never in a plan, a trace or a journal.
        seconds: longest call; a skill whose own time is shorter has that.

    Raises:
        ConfigError: not a base URL, or a header that HTTP does not allow.
    """

    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    seconds: float = 30.0

    def __post_init__(self) -> None:
        read_origin(self.base_url, field="base_url")
        check_bounds(self, {"seconds": (0.01, 3600.0)})
        for name, value in self.headers.items():
            if not name.replace("-", "").isalnum() or not (name + value).isascii() or not value.isprintable():
                raise ConfigError(f"the header {name!r} is none of HTTP; use letters, digits and dashes", field="headers")

    @property
    def origin(self) -> Origin:
        return read_origin(self.base_url, field="base_url")


class ApiOperation:
    """One operation that can be called.

    Args:
        sleep: waits before a call that the server asked to make later.
    """

    def __init__(
        self,
        document: Document,
        operation: Operation,
        settings: ApiSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._operation = operation
        self._origin = settings.origin
        self._headers = {"accept": "application/json, application/problem+json", **settings.headers}
        self._seconds = settings.seconds
        self._sleep = sleep
        self._requests = Requests(document, operation)
        self._answers = {
            status: None if schema is None else Fit(document, schema, f"{operation.pointer}/responses/{status}")
            for status, schema in operation.answers.schemas.items()
        }

    async def run(self, context: ToolContext, arguments: Mapping[str, Any]) -> Results:
        """Call the operation; the results are those of the domain.

        Raises:
            ToolError: as the module says.
        """
        request = self._requests.make(arguments)
        headers = dict(self._headers)
        if request.content is not None:
            headers["content-type"] = "application/json"
        if context.key is not None and not self._operation.reads_only:
            headers["idempotency-key"] = context.key
        deadline = time.monotonic() + min(self._seconds, context.timeout_seconds * _OWN_SHARE)
        while True:
            answer = await exchange(
                self._origin,
                request.method,
                self._origin.base + request.url,
                seconds=max(0.001, deadline - time.monotonic()),
                headers=headers,
                content=request.content,
                follow=self._operation.reads_only,
            )
            if answer.status in (404, 410) and context.attempt > 1 and self._deletes:
                return dict.fromkeys(self._operation.answers.results)  # the attempt whose answer was lost deleted it
            if answer.status != 429:
                return self._judged(answer)
            await self._later(answer, deadline)

    @property
    def _deletes(self) -> bool:
        return self._operation.method == "delete" and all(fit is None for fit in self._answers.values())

    async def _later(self, answer: Answer, deadline: float) -> None:
        """Wait as long as the server asks, which did nothing so far; when that is too long, the call is over."""
        asked = answer.headers.get("retry-after", "")
        seconds = float(asked) if asked.isdecimal() and len(asked) < 8 else None
        if seconds is None or time.monotonic() + seconds >= deadline:
            wanted = f"asks for a wait of {asked} s" if seconds is not None else "asks for a wait"
            problem = server_problem(answer.status, answer.body)
            raise TransientToolError(f"{self._origin.host} {wanted}, which is longer than the step has", details=problem)
        await self._sleep(seconds)

    def _judged(self, answer: Answer) -> Results:
        if 200 <= answer.status < 300:
            return self._results(answer)
        problem = server_problem(answer.status, answer.body)
        said = f"{self._origin.host} answered {answer.status}{said_by(problem)}"
        if answer.status >= 500 and answer.status not in _NOT_IMPLEMENTED:
            raise LostAnswerError(said, details=problem)
        if answer.status < 400:
            raise GarbageAnswerError(f"{said}, which its description does not have", details=problem)
        raise ToolError(said, details=problem)

    def _results(self, answer: Answer) -> Results:
        declared = self._operation.answers
        status = next((one for one in (str(answer.status), f"{answer.status // 100}XX") if one in self._answers), None)
        if status is None:
            raise GarbageAnswerError(f"{self._origin.host} answered {answer.status}, which its description does not have")
        fit = self._answers[status]
        if fit is None:
            return dict.fromkeys(declared.results)
        value = self._decoded(answer)
        fault = fit.fault(value)
        if fault is not None:
            raise GarbageAnswerError(f"{self._origin.host} answered what its description does not allow: {fault}")
        found = {name: at(value, tokens) for name, tokens in declared.pointers.items()}
        named = {name: _as_declared(found[name], declared.results[name]["type"]) for name in found}
        return {BODY: cut_text(json.dumps(value, ensure_ascii=False)), **named}

    def _decoded(self, answer: Answer) -> Any:
        if answer.media_type != "application/json":
            raise GarbageAnswerError(f"{self._origin.host} answered {answer.media_type[:60] or 'no type'} in place of JSON")
        try:
            return json.loads(answer.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise GarbageAnswerError(f"{self._origin.host} answered what is no JSON: {str(error)[:120]}") from error


def _as_declared(value: Any, kind: str) -> Any:
    """A whole number is one in JSON however it is written (3.0)."""
    return int(value) if kind == "integer" and isinstance(value, float) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
