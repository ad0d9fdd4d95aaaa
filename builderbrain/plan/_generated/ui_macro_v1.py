"""Planchecker of the domain ui_macro, version 1.

Opens pages of a site, fills in fields, clicks, waits, and asserts what is shown.
Generated from schemas/ui_macro.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Fact, Resource, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import ABSENT, Scope


def _check_open(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # page: string
    if (value := args.get("page", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "page", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "page", "string", value))
        elif not 1 <= len(value) <= 200:
            faults.append(fault.bad_value(step.id, "page", value, "must have 1 to 200 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "page", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "open", "page", "string"))
    if known != len(args):
        legal = ("page",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "open", name, legal))


def _check_click(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # name: string
    if (value := args.get("name", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "name", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "name", "string", value))
        elif not 1 <= len(value) <= 100:
            faults.append(fault.bad_value(step.id, "name", value, "must have 1 to 100 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "name", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "click", "name", "string"))
    # role: string, optional
    if (value := args.get("role", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "role", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "role", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "role", value, reason, remedy))
        elif value not in ("button", "link", "checkbox", "id"):
            remedy = fault.nearest(value, ("button", "link", "checkbox", "id"))
            faults.append(fault.bad_value(step.id, "role", value, "is not one of the legal values", remedy))
    if known != len(args):
        legal = ("name", "role")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "click", name, legal))


def _check_type(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # field: string
    if (value := args.get("field", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "field", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "field", "string", value))
        elif not 1 <= len(value) <= 100:
            faults.append(fault.bad_value(step.id, "field", value, "must have 1 to 100 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "field", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "type", "field", "string"))
    # text: string
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "string", value))
        elif not 0 <= len(value) <= 500:
            faults.append(fault.bad_value(step.id, "text", value, "must have 0 to 500 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "type", "text", "string"))
    if known != len(args):
        legal = ("field", "text")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "type", name, legal))


def _check_wait(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # name: string
    if (value := args.get("name", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "name", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "name", "string", value))
        elif not 1 <= len(value) <= 100:
            faults.append(fault.bad_value(step.id, "name", value, "must have 1 to 100 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "name", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "wait", "name", "string"))
    # role: string, optional
    if (value := args.get("role", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "role", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "role", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "role", value, reason, remedy))
        elif value not in ("text", "button", "link", "checkbox", "field", "heading", "id"):
            remedy = fault.nearest(value, ("text", "button", "link", "checkbox", "field", "heading", "id"))
            faults.append(fault.bad_value(step.id, "role", value, "is not one of the legal values", remedy))
    # seconds: integer, optional
    if (value := args.get("seconds", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "seconds", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "seconds", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "seconds", value, "must be at least 1", "give at least 1"))
        elif value > 30:
            faults.append(fault.bad_value(step.id, "seconds", value, "must be at most 30", "give at most 30"))
    if known != len(args):
        legal = ("name", "role", "seconds")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "wait", name, legal))


def _check_assert(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # name: string
    if (value := args.get("name", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "name", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "name", "string", value))
        elif not 1 <= len(value) <= 100:
            faults.append(fault.bad_value(step.id, "name", value, "must have 1 to 100 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "name", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "assert", "name", "string"))
    # role: string, optional
    if (value := args.get("role", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "role", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "role", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "role", value, reason, remedy))
        elif value not in ("text", "button", "link", "checkbox", "field", "heading", "id"):
            remedy = fault.nearest(value, ("text", "button", "link", "checkbox", "field", "heading", "id"))
            faults.append(fault.bad_value(step.id, "role", value, "is not one of the legal values", remedy))
    # state: string, optional
    if (value := args.get("state", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "state", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "state", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "state", value, reason, remedy))
        elif value not in ("shown", "hidden", "enabled", "disabled", "checked", "unchecked"):
            remedy = fault.nearest(value, ("shown", "hidden", "enabled", "disabled", "checked", "unchecked"))
            faults.append(fault.bad_value(step.id, "state", value, "is not one of the legal values", remedy))
    # value: string, optional
    if (value := args.get("value", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "value", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "value", "string", value))
        elif not 0 <= len(value) <= 500:
            faults.append(fault.bad_value(step.id, "value", value, "must have 0 to 500 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "value", value, reason, remedy))
    if known != len(args):
        legal = ("name", "role", "state", "value")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "assert", name, legal))


def _check_look(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "look", name, legal))


DOMAIN = Domain(
    name="ui_macro",
    version=1,
    schema_sha256="fcb1eb174bd37428a7c8d6f89b3df6b2e6e364671dbd71f25a0ade3d8dd4095e",
    max_steps=16,
    max_depth=16,
    max_width=2,
    skills={
        "open": Skill(
            name="open",
            summary="Opens a page of the site.",
            safety="read_only",
            timeout_seconds=20,
            arguments={
                "page": Argument(
                    type="string",
                    required=True,
                    summary="path on the site, as /orders",
                ),
            },
            results={
                "ok": "boolean",
                "title": "string",
                "page": "string",
            },
            check=_check_open,
            sets={
                "page": "open",
            },
            uses=("browser",),
            retry_attempts=2,
            retry_wait_seconds=1.0,
            critical=True,
            fallback="look",
        ),
        "click": Skill(
            name="click",
            summary="Clicks a control; fails when there is none of that name, or more than one.",
            safety="mutating",
            timeout_seconds=20,
            arguments={
                "name": Argument(
                    type="string",
                    required=True,
                    summary="name that is shown, or the id",
                ),
                "role": Argument(
                    type="string",
                    default="button",
                    summary="what is clicked",
                ),
            },
            results={
                "ok": "boolean",
                "page": "string",
                "title": "string",
            },
            check=_check_click,
            requires={
                "page": frozenset(
                    {
                        "open",
                    }
                ),
            },
            uses=("browser",),
            irreversible=True,
            critical=True,
            fallback="look",
        ),
        "type": Skill(
            name="type",
            summary="Puts a text into a field, in place of what is there.",
            safety="mutating",
            timeout_seconds=20,
            arguments={
                "field": Argument(
                    type="string",
                    required=True,
                    summary="label of the field, or its id",
                ),
                "text": Argument(
                    type="string",
                    required=True,
                    summary="text to put in; empty clears the field",
                ),
            },
            results={
                "ok": "boolean",
                "value": "string",
            },
            check=_check_type,
            requires={
                "page": frozenset(
                    {
                        "open",
                    }
                ),
            },
            uses=("browser",),
            idempotent=True,
            critical=True,
            fallback="look",
        ),
        "wait": Skill(
            name="wait",
            summary="Waits until something is shown; fails when it is not in time.",
            safety="read_only",
            timeout_seconds=40,
            arguments={
                "name": Argument(
                    type="string",
                    required=True,
                    summary="text that is shown, or name or id",
                ),
                "role": Argument(
                    type="string",
                    default="text",
                    summary="what it is",
                ),
                "seconds": Argument(
                    type="integer",
                    default=5,
                    summary="longest wait",
                    maximum=30,
                ),
            },
            results={
                "ok": "boolean",
                "value": "string",
                "waited_ms": "integer",
            },
            check=_check_wait,
            requires={
                "page": frozenset(
                    {
                        "open",
                    }
                ),
            },
            uses=("browser",),
            costs={
                "wait_seconds": "seconds",
            },
            fallback="look",
        ),
        "assert": Skill(
            name="assert",
            summary="Fails, and stops the plan, when the page is not as it should be.",
            safety="read_only",
            timeout_seconds=20,
            arguments={
                "name": Argument(
                    type="string",
                    required=True,
                    summary="text that is shown, or name or id",
                ),
                "role": Argument(
                    type="string",
                    default="text",
                    summary="what it is",
                ),
                "state": Argument(
                    type="string",
                    default="shown",
                    summary="state",
                ),
                "value": Argument(
                    type="string",
                    summary="what its text or the field should hold",
                ),
            },
            results={
                "ok": "boolean",
                "value": "string",
            },
            check=_check_assert,
            requires={
                "page": frozenset(
                    {
                        "open",
                    }
                ),
            },
            uses=("browser",),
            critical=True,
            fallback="look",
        ),
        "look": Skill(
            name="look",
            summary="Says what is shown on the page now.",
            safety="read_only",
            timeout_seconds=20,
            arguments={},
            results={
                "ok": "boolean",
                "title": "string",
                "page": "string",
                "text": "text",
            },
            check=_check_look,
            uses=("browser",),
        ),
    },
    data_edges={
        "open": frozenset(),
        "click": frozenset(),
        "type": frozenset(
            {
                "open",
                "wait",
                "assert",
            }
        ),
        "wait": frozenset(),
        "assert": frozenset(
            {
                "open",
                "wait",
                "assert",
            }
        ),
        "look": frozenset(),
    },
    condition_edges={
        "open": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "click": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "type": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "wait": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "assert": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "look": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
    },
    sequence_edges={
        "open": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "click": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "type": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "wait": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "assert": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
        "look": frozenset(
            {
                "open",
                "click",
                "type",
                "wait",
                "assert",
                "look",
            }
        ),
    },
    mode="flexible",
    facts={
        "page": Fact(
            values=(
                "closed",
                "open",
            ),
            initial="closed",
        ),
    },
    resources={
        "browser": Resource(fixed_order=True, capacity=1),
    },
    budgets={
        "wait_seconds": 60,
    },
)
