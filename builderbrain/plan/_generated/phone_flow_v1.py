"""Planchecker of the domain phone_flow, version 1.

Answers a call, verifies the caller, and hands over, holds or arranges a callback.
Generated from schemas/phone_flow.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Fact, Resource, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import ABSENT, Scope


def _check_greet(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # language: string, optional
    if (value := args.get("language", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "language", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "language", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "language", value, reason, remedy))
        elif value not in ("en", "de", "fr", "es"):
            remedy = fault.nearest(value, ("en", "de", "fr", "es"))
            faults.append(fault.bad_value(step.id, "language", value, "is not one of the legal values", remedy))
    # text: string, optional
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "string", value))
        elif not 1 <= len(value) <= 300:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 300 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    if known != len(args):
        legal = ("language", "text")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "greet", name, legal))


def _check_verify(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # method: string
    if (value := args.get("method", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "method", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "method", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "method", value, reason, remedy))
        elif value not in ("pin", "birth_date", "one_time_code"):
            remedy = fault.nearest(value, ("pin", "birth_date", "one_time_code"))
            faults.append(fault.bad_value(step.id, "method", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "verify", "method", "string"))
    # attempts: integer, optional
    if (value := args.get("attempts", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "attempts", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "attempts", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "attempts", value, "must be at least 1", "give at least 1"))
        elif value > 3:
            faults.append(fault.bad_value(step.id, "attempts", value, "must be at most 3", "give at most 3"))
    # number: string, optional
    if (value := args.get("number", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "number", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "number", "string", value))
        elif not 1 <= len(value) <= 16:
            faults.append(fault.bad_value(step.id, "number", value, "must have 1 to 16 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "number", value, reason, remedy))
    if known != len(args):
        legal = ("method", "attempts", "number")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "verify", name, legal))


def _check_intent(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # question: string, optional
    if (value := args.get("question", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "question", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "question", "string", value))
        elif not 1 <= len(value) <= 300:
            faults.append(fault.bad_value(step.id, "question", value, "must have 1 to 300 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "question", value, reason, remedy))
    if known != len(args):
        legal = ("question",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "intent", name, legal))


def _check_account(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # customer: string
    if (value := args.get("customer", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "customer", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "customer", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "account", "customer", "string"))
    if known != len(args):
        legal = ("customer",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "account", name, legal))


def _check_note(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # customer: string
    if (value := args.get("customer", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "customer", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "customer", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "note", "customer", "string"))
    # text: text
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "text", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "text", value))
        elif not 1 <= len(value) <= 2000:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 2000 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "note", "text", "text"))
    if known != len(args):
        legal = ("customer", "text")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "note", name, legal))


def _check_erase_note(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # note_id: string
    if (value := args.get("note_id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "note_id", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "note_id", "string", value))
        elif not 1 <= len(value) <= 64:
            faults.append(fault.bad_value(step.id, "note_id", value, "must have 1 to 64 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "note_id", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "erase_note", "note_id", "string"))
    if known != len(args):
        legal = ("note_id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "erase_note", name, legal))


def _check_say(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # text: string
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "string", value))
        elif not 1 <= len(value) <= 600:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 600 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "say", "text", "string"))
    # about: text, optional
    if (value := args.get("about", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "about", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "about", "text", value))
    if known != len(args):
        legal = ("text", "about")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "say", name, legal))


def _check_hold(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # seconds: integer, optional
    if (value := args.get("seconds", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "seconds", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "seconds", "integer", value))
        elif value < 5:
            faults.append(fault.bad_value(step.id, "seconds", value, "must be at least 5", "give at least 5"))
        elif value > 120:
            faults.append(fault.bad_value(step.id, "seconds", value, "must be at most 120", "give at most 120"))
    # text: string, optional
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "string", value))
        elif not 1 <= len(value) <= 300:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 300 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    if known != len(args):
        legal = ("seconds", "text")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "hold", name, legal))


def _check_take_up(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "take_up", name, legal))


def _check_transfer(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # team: string
    if (value := args.get("team", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "team", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "team", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "team", value, reason, remedy))
        elif value not in ("billing", "orders", "technical", "complaints", "reception"):
            remedy = fault.nearest(value, ("billing", "orders", "technical", "complaints", "reception"))
            faults.append(fault.bad_value(step.id, "team", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "transfer", "team", "string"))
    # brief: text, optional
    if (value := args.get("brief", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "brief", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "brief", "text", value))
    if known != len(args):
        legal = ("team", "brief")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "transfer", name, legal))


def _check_callback(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # number: string
    if (value := args.get("number", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "number", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "number", "string", value))
        elif not 1 <= len(value) <= 16:
            faults.append(fault.bad_value(step.id, "number", value, "must have 1 to 16 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "number", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "callback", "number", "string"))
    # minutes: integer
    if (value := args.get("minutes", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "minutes", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "minutes", "integer", value))
        elif value < 5:
            faults.append(fault.bad_value(step.id, "minutes", value, "must be at least 5", "give at least 5"))
        elif value > 2880:
            faults.append(fault.bad_value(step.id, "minutes", value, "must be at most 2880", "give at most 2880"))
    else:
        faults.append(fault.missing_argument(step.id, "callback", "minutes", "integer"))
    # about: text, optional
    if (value := args.get("about", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "about", "text", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "about", "text", value))
        elif not 1 <= len(value) <= 2000:
            faults.append(fault.bad_value(step.id, "about", value, "must have 1 to 2000 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "about", value, reason, remedy))
    if known != len(args):
        legal = ("number", "minutes", "about")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "callback", name, legal))


def _check_escalate(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # text: string, optional
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "string", value))
        elif not 1 <= len(value) <= 300:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 300 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    if known != len(args):
        legal = ("text",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "escalate", name, legal))


def _check_hold_message(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    if known != len(args):
        legal = ()
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "hold_message", name, legal))


DOMAIN = Domain(
    name="phone_flow",
    version=1,
    schema_sha256="c41b4ec9e6141e80e2839aff14cbf32522269388722e83fdb56625946efe189b",
    max_steps=12,
    max_depth=12,
    max_width=3,
    skills={
        "greet": Skill(
            name="greet",
            summary="Answers the call and greets the caller.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "language": Argument(
                    type="string",
                    default="en",
                    summary="language of the call",
                ),
                "text": Argument(
                    type="string",
                    summary="greeting; without it, the usual one",
                ),
            },
            results={
                "ok": "boolean",
                "number": "string",
                "language": "string",
            },
            check=_check_greet,
            requires={
                "call": frozenset(
                    {
                        "ringing",
                    }
                ),
            },
            sets={
                "call": "connected",
            },
            uses=("line",),
            idempotent=True,
            critical=True,
            fallback="escalate",
        ),
        "verify": Skill(
            name="verify",
            summary="Asks for proof of who calls; fails when the caller gives none.",
            safety="mutating",
            timeout_seconds=60,
            arguments={
                "method": Argument(
                    type="string",
                    required=True,
                    summary="what is asked for",
                ),
                "attempts": Argument(
                    type="integer",
                    default=2,
                    summary="answers that the caller may give",
                    maximum=3,
                ),
                "number": Argument(
                    type="string",
                    summary="number that the one-time code is sent to",
                ),
            },
            results={
                "ok": "boolean",
                "customer": "string",
                "name": "string",
                "number": "string",
                "attempts": "integer",
            },
            check=_check_verify,
            requires={
                "call": frozenset(
                    {
                        "connected",
                    }
                ),
            },
            sets={
                "caller": "verified",
            },
            uses=("line",),
            idempotent=True,
            fallback="escalate",
        ),
        "intent": Skill(
            name="intent",
            summary="Asks what the caller wants and understands it.",
            safety="mutating",
            timeout_seconds=60,
            arguments={
                "question": Argument(
                    type="string",
                    summary="what is asked; without it, the usual question",
                ),
            },
            results={
                "ok": "boolean",
                "topic": "string",
                "percent": "integer",
                "urgent": "boolean",
                "text": "text",
            },
            check=_check_intent,
            requires={
                "call": frozenset(
                    {
                        "connected",
                    }
                ),
            },
            sets={
                "wish": "known",
            },
            uses=("line",),
            retry_attempts=2,
            retry_wait_seconds=1.0,
            idempotent=True,
            fallback="escalate",
        ),
        "account": Skill(
            name="account",
            summary="Reads the record of a verified customer.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "customer": Argument(
                    type="string",
                    required=True,
                    summary="id that verify gave",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "open_cases": "integer",
                "owed_cents": "integer",
                "blocked": "boolean",
                "text": "text",
            },
            check=_check_account,
            requires={
                "caller": frozenset(
                    {
                        "verified",
                    }
                ),
            },
            uses=("records",),
            retry_attempts=3,
            retry_wait_seconds=1.0,
        ),
        "note": Skill(
            name="note",
            summary="Writes a note into the record of a verified customer.",
            safety="mutating",
            timeout_seconds=5,
            arguments={
                "customer": Argument(
                    type="string",
                    required=True,
                    summary="id that verify gave",
                    reference_only=True,
                ),
                "text": Argument(
                    type="text",
                    required=True,
                    summary="the note",
                ),
            },
            results={
                "ok": "boolean",
                "note_id": "string",
            },
            check=_check_note,
            requires={
                "caller": frozenset(
                    {
                        "verified",
                    }
                ),
            },
            uses=("records",),
            undo="erase_note",
        ),
        "erase_note": Skill(
            name="erase_note",
            summary="Takes a note out of the record again.",
            safety="mutating",
            timeout_seconds=5,
            arguments={
                "note_id": Argument(
                    type="string",
                    required=True,
                    summary="id of the note",
                ),
            },
            results={
                "ok": "boolean",
            },
            check=_check_erase_note,
            uses=("records",),
            idempotent=True,
        ),
        "say": Skill(
            name="say",
            summary="Says something to the caller.",
            safety="mutating",
            timeout_seconds=30,
            arguments={
                "text": Argument(
                    type="string",
                    required=True,
                    summary="what is said",
                ),
                "about": Argument(
                    type="text",
                    summary="text of an earlier step that is read out after it",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
            },
            check=_check_say,
            requires={
                "call": frozenset(
                    {
                        "connected",
                    }
                ),
            },
            uses=("line",),
            idempotent=True,
            fallback="escalate",
        ),
        "hold": Skill(
            name="hold",
            summary="Lets the caller wait with music.",
            safety="mutating",
            timeout_seconds=150,
            arguments={
                "seconds": Argument(
                    type="integer",
                    default=30,
                    summary="longest wait",
                    maximum=120,
                ),
                "text": Argument(
                    type="string",
                    summary="what is said before; without it, the usual sentence",
                ),
            },
            results={
                "ok": "boolean",
                "seconds": "integer",
                "free": "boolean",
            },
            check=_check_hold,
            requires={
                "call": frozenset(
                    {
                        "connected",
                    }
                ),
            },
            sets={
                "call": "waiting",
            },
            uses=("line",),
            costs={
                "hold_seconds": "seconds",
            },
            idempotent=True,
            fallback="escalate",
        ),
        "take_up": Skill(
            name="take_up",
            summary="Takes a waiting call up again.",
            safety="mutating",
            timeout_seconds=10,
            arguments={},
            results={
                "ok": "boolean",
            },
            check=_check_take_up,
            requires={
                "call": frozenset(
                    {
                        "waiting",
                    }
                ),
            },
            sets={
                "call": "connected",
            },
            uses=("line",),
            idempotent=True,
            fallback="escalate",
        ),
        "transfer": Skill(
            name="transfer",
            summary="Hands a verified caller over to a team; the call is then theirs.",
            safety="mutating",
            timeout_seconds=60,
            arguments={
                "team": Argument(
                    type="string",
                    required=True,
                    summary="who takes over",
                ),
                "brief": Argument(
                    type="text",
                    summary="what the caller said, for the one who takes over",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "agent": "string",
                "seconds": "integer",
            },
            check=_check_transfer,
            requires={
                "call": frozenset(
                    {
                        "connected",
                        "waiting",
                    }
                ),
                "caller": frozenset(
                    {
                        "verified",
                    }
                ),
                "wish": frozenset(
                    {
                        "known",
                    }
                ),
            },
            sets={
                "call": "ended",
            },
            uses=("line",),
            irreversible=True,
            critical=True,
            fallback="escalate",
        ),
        "callback": Skill(
            name="callback",
            summary="Promises a verified caller a later call and ends this one; a person agrees first.",
            safety="mutating",
            timeout_seconds=30,
            arguments={
                "number": Argument(
                    type="string",
                    required=True,
                    summary="number to call, as +15551234567",
                ),
                "minutes": Argument(
                    type="integer",
                    required=True,
                    summary="minutes from now",
                    maximum=2880,
                ),
                "about": Argument(
                    type="text",
                    summary="what the call will be about",
                ),
            },
            results={
                "ok": "boolean",
                "ticket": "string",
            },
            check=_check_callback,
            requires={
                "call": frozenset(
                    {
                        "connected",
                        "waiting",
                    }
                ),
                "caller": frozenset(
                    {
                        "verified",
                    }
                ),
            },
            sets={
                "call": "ended",
            },
            uses=("line",),
            irreversible=True,
            critical=True,
            confirm=True,
            fallback="escalate",
        ),
        "escalate": Skill(
            name="escalate",
            summary="Plays the hold message and puts the call at the head of the queue of the team.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "text": Argument(
                    type="string",
                    summary="hold message; without it, the usual one",
                ),
            },
            results={
                "ok": "boolean",
                "place": "integer",
                "seconds": "integer",
            },
            check=_check_escalate,
            sets={
                "call": "waiting",
            },
            uses=("line",),
            idempotent=True,
            fallback="hold_message",
        ),
        "hold_message": Skill(
            name="hold_message",
            summary="Plays the hold message without end; what is left when even the queue cannot be reached.",
            safety="mutating",
            timeout_seconds=10,
            arguments={},
            results={
                "ok": "boolean",
            },
            check=_check_hold_message,
            sets={
                "call": "waiting",
            },
            uses=("line",),
            idempotent=True,
        ),
    },
    data_edges={
        "greet": frozenset(),
        "verify": frozenset(
            {
                "greet",
            }
        ),
        "intent": frozenset(),
        "account": frozenset(
            {
                "verify",
            }
        ),
        "note": frozenset(
            {
                "verify",
                "intent",
                "account",
            }
        ),
        "erase_note": frozenset(),
        "say": frozenset(
            {
                "intent",
                "account",
                "hold",
            }
        ),
        "hold": frozenset(),
        "take_up": frozenset(),
        "transfer": frozenset(
            {
                "intent",
            }
        ),
        "callback": frozenset(
            {
                "greet",
                "verify",
                "intent",
            }
        ),
        "escalate": frozenset(),
        "hold_message": frozenset(),
    },
    condition_edges={
        "greet": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "verify": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "intent": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "account": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "note": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "erase_note": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "say": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "hold": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "take_up": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "transfer": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "callback": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "escalate": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "hold_message": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
    },
    sequence_edges={
        "greet": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "verify": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "intent": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "account": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "note": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "erase_note": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "say": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "hold": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "take_up": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "transfer": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "callback": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "escalate": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
        "hold_message": frozenset(
            {
                "greet",
                "verify",
                "intent",
                "account",
                "note",
                "erase_note",
                "say",
                "hold",
                "take_up",
                "transfer",
                "callback",
                "escalate",
                "hold_message",
            }
        ),
    },
    facts={
        "call": Fact(
            values=(
                "ringing",
                "connected",
                "waiting",
                "ended",
            ),
            initial="ringing",
        ),
        "caller": Fact(
            values=(
                "unknown",
                "verified",
            ),
            initial="unknown",
        ),
        "wish": Fact(
            values=(
                "open",
                "known",
            ),
            initial="open",
        ),
    },
    resources={
        "line": Resource(fixed_order=True, capacity=1),
        "records": Resource(fixed_order=False, capacity=2),
    },
    budgets={
        "hold_seconds": 180,
    },
    fallback="escalate",
)
