"""What requests about plans hold, and how the plan in them is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from builderbrain.agent.goal import MAX_GOAL_CHARACTERS
from builderbrain.errors import InvalidRequestError, PlanSyntaxError
from builderbrain.plan import Fault, Verdict, parse_text
from builderbrain.plan.registry import domain_names
from builderbrain.serve.fields import RequestModel

Level = Literal["read_only", "mutating", "meta"]


def name_the_domains(schema: dict[str, Any]) -> None:
    """Puts the domains that exist into the schema of a field, for the OpenAPI document."""
    schema["enum"] = list(domain_names())


class PlanRequestBody(RequestModel):
    """A plan in canonical JSON, whose own `domain` may be left out, or in text form. `grant` are levels beyond `read_only`."""

    domain: str = Field(min_length=1, max_length=128, json_schema_extra=name_the_domains)
    plan: Any
    grant: Annotated[list[Level], Field(max_length=3, fail_fast=True)] | None = None

    @property
    def granted(self) -> frozenset[str]:
        """The levels that the plan may use."""
        return frozenset({"read_only", *(self.grant or ())})


class PlanRepairRequest(PlanRequestBody):
    """A plan to repair. With the `goal` that it is for, the model may write missing arguments of steps without effects."""

    goal: str | None = Field(default=None, min_length=1, max_length=MAX_GOAL_CHARACTERS)


class PlanRunRequest(PlanRequestBody):
    """A plan to run below `root`, a folder below the server's own."""

    root: str | None = Field(default=None, max_length=4096)


class ConfirmRequest(RequestModel):
    """The answer to what a plan waits for: true runs exactly that plan, false drops it."""

    token: str = Field(min_length=1, max_length=128)
    approve: bool


class AnswerRequest(RequestModel):
    """What a person found out about an effect that is unknown: whether it was done, and with which results."""

    step: str = Field(min_length=1, max_length=64)
    done: bool
    results: dict[str, Any] | None = None


def read_body_plan(body: PlanRequestBody) -> tuple[Any, Verdict | None]:
    """The plan as the checker takes it, and the verdict where there is none to check.

    Raises:
        InvalidRequestError: there is no such domain, or the plan is of another one.
    """
    if body.domain not in domain_names():
        raise InvalidRequestError(f"domain: expected one of {', '.join(domain_names())}, got {body.domain!r}", field="domain")
    if isinstance(body.plan, dict):
        if body.plan.get("domain", body.domain) != body.domain:
            raise InvalidRequestError(
                f"plan.domain: expected {body.domain!r}, the request's domain, got {body.plan['domain']!r}", field="plan.domain"
            )
        return {"domain": body.domain, **body.plan}, None
    if not isinstance(body.plan, str):
        return body.plan, None
    try:
        return parse_text(body.plan, domain=body.domain), None
    except PlanSyntaxError as error:
        fault = Fault("malformed", None, error.message, "write one step a line, as in the domain's examples")
        return None, Verdict(False, (fault,))
