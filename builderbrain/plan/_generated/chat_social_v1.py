"""Planchecker of the domain chat_social, version 1.

Answers, asks, cites, disclaims or refuses in one turn of a conversation.
Generated from schemas/chat_social.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Fact, Resource, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import ABSENT, Scope


def _check_look_up(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # topic: string
    if (value := args.get("topic", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "topic", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "topic", "string", value))
        elif not 1 <= len(value) <= 200:
            faults.append(fault.bad_value(step.id, "topic", value, "must have 1 to 200 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "topic", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "look_up", "topic", "string"))
    if known != len(args):
        legal = ("topic",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "look_up", name, legal))


def _check_answer(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
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
        faults.append(fault.missing_argument(step.id, "answer", "text", "text"))
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
                faults.append(fault.unknown_argument(step.id, "answer", name, legal))


def _check_ask(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # question: string
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
    else:
        faults.append(fault.missing_argument(step.id, "ask", "question", "string"))
    # about: text, optional
    if (value := args.get("about", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "about", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "about", "text", value))
    if known != len(args):
        legal = ("question", "about")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "ask", name, legal))


def _check_cite(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # passage: text
    if (value := args.get("passage", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "passage", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "passage", "text", value))
    else:
        faults.append(fault.missing_argument(step.id, "cite", "passage", "text"))
    # source: string
    if (value := args.get("source", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "source", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "source", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "cite", "source", "string"))
    if known != len(args):
        legal = ("passage", "source")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "cite", name, legal))


def _check_advise(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # field: string
    if (value := args.get("field", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "field", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "field", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "field", value, reason, remedy))
        elif value not in ("medical", "legal"):
            remedy = fault.nearest(value, ("medical", "legal"))
            faults.append(fault.bad_value(step.id, "field", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "advise", "field", "string"))
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
        faults.append(fault.missing_argument(step.id, "advise", "text", "text"))
    # citation: text
    if (value := args.get("citation", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "citation", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "citation", "text", value))
    else:
        faults.append(fault.missing_argument(step.id, "advise", "citation", "text"))
    if known != len(args):
        legal = ("field", "text", "citation")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "advise", name, legal))


def _check_disclaim(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # draft: text
    if (value := args.get("draft", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "draft", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "draft", "text", value))
    else:
        faults.append(fault.missing_argument(step.id, "disclaim", "draft", "text"))
    # field: string
    if (value := args.get("field", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "field", "string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "field", "string", value))
    else:
        faults.append(fault.missing_argument(step.id, "disclaim", "field", "string"))
    if known != len(args):
        legal = ("draft", "field")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "disclaim", name, legal))


def _check_refuse(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # reason: string
    if (value := args.get("reason", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "reason", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "reason", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "reason", value, reason, remedy))
        elif value not in ("harmful", "private", "unknown_to_me", "not_my_task"):
            remedy = fault.nearest(value, ("harmful", "private", "unknown_to_me", "not_my_task"))
            faults.append(fault.bad_value(step.id, "reason", value, "is not one of the legal values", remedy))
    else:
        faults.append(fault.missing_argument(step.id, "refuse", "reason", "string"))
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
        legal = ("reason", "text")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "refuse", name, legal))


def _check_need_information(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # missing: string, optional
    if (value := args.get("missing", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "missing", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "missing", "string", value))
        elif not 1 <= len(value) <= 200:
            faults.append(fault.bad_value(step.id, "missing", value, "must have 1 to 200 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "missing", value, reason, remedy))
    if known != len(args):
        legal = ("missing",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "need_information", name, legal))


DOMAIN = Domain(
    name="chat_social",
    version=1,
    schema_sha256="fdc2b4cda432275f1c4ced99b91c864905393fa57f1a9c9c66c4112657cb7be1",
    max_steps=8,
    max_depth=8,
    max_width=3,
    skills={
        "look_up": Skill(
            name="look_up",
            summary="Looks for a passage about something in the given sources; fails when there is none.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "topic": Argument(
                    type="string",
                    required=True,
                    summary="what it should be about",
                ),
            },
            results={
                "ok": "boolean",
                "passage": "text",
                "source": "string",
                "sources": "integer",
            },
            check=_check_look_up,
            fallback="need_information",
        ),
        "answer": Skill(
            name="answer",
            summary="Says something, alone or about a passage; not for advice on health or law.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "text": Argument(
                    type="text",
                    required=True,
                    summary="what is said",
                ),
                "about": Argument(
                    type="text",
                    summary="a passage or citation that is given with it",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "said": "text",
            },
            check=_check_answer,
            requires={
                "turn": frozenset(
                    {
                        "open",
                    }
                ),
                "advice": frozenset(
                    {
                        "none",
                    }
                ),
            },
            uses=("voice",),
            costs={
                "sayings": 1,
            },
            fallback="need_information",
        ),
        "ask": Skill(
            name="ask",
            summary="Asks the person something, and ends the turn.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "question": Argument(
                    type="string",
                    required=True,
                    summary="what is asked",
                ),
                "about": Argument(
                    type="text",
                    summary="a passage that the question is about",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "said": "text",
            },
            check=_check_ask,
            requires={
                "turn": frozenset(
                    {
                        "open",
                    }
                ),
                "advice": frozenset(
                    {
                        "none",
                    }
                ),
            },
            sets={
                "turn": "over",
            },
            uses=("voice",),
            costs={
                "sayings": 1,
            },
            fallback="need_information",
        ),
        "cite": Skill(
            name="cite",
            summary="Makes a citation of a passage that was looked up.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "passage": Argument(
                    type="text",
                    required=True,
                    summary="the passage",
                    reference_only=True,
                ),
                "source": Argument(
                    type="string",
                    required=True,
                    summary="where it stands",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "citation": "text",
            },
            check=_check_cite,
            requires={
                "turn": frozenset(
                    {
                        "open",
                    }
                ),
            },
            sets={
                "cited": "given",
            },
            fallback="need_information",
        ),
        "advise": Skill(
            name="advise",
            summary="Drafts advice from a citation; it is said only by the disclaimer that follows.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "field": Argument(
                    type="string",
                    required=True,
                    summary="what the advice is about",
                ),
                "text": Argument(
                    type="text",
                    required=True,
                    summary="the advice",
                ),
                "citation": Argument(
                    type="text",
                    required=True,
                    summary="what it rests on",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "draft": "text",
                "field": "string",
            },
            check=_check_advise,
            requires={
                "turn": frozenset(
                    {
                        "open",
                    }
                ),
                "cited": frozenset(
                    {
                        "given",
                    }
                ),
                "advice": frozenset(
                    {
                        "none",
                    }
                ),
            },
            sets={
                "advice": "held",
            },
            fallback="need_information",
        ),
        "disclaim": Skill(
            name="disclaim",
            summary="Says drafted advice, with the disclaimer of its field before it.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "draft": Argument(
                    type="text",
                    required=True,
                    summary="the advice",
                    reference_only=True,
                ),
                "field": Argument(
                    type="string",
                    required=True,
                    summary="what the advice is about",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "said": "text",
            },
            check=_check_disclaim,
            requires={
                "turn": frozenset(
                    {
                        "open",
                    }
                ),
                "advice": frozenset(
                    {
                        "held",
                    }
                ),
            },
            sets={
                "advice": "none",
            },
            uses=("voice",),
            costs={
                "sayings": 1,
            },
            fallback="need_information",
        ),
        "refuse": Skill(
            name="refuse",
            summary="Says no, and why, and ends the turn.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "reason": Argument(
                    type="string",
                    required=True,
                    summary="why",
                ),
                "text": Argument(
                    type="string",
                    summary="in its own words; without it, the usual sentence",
                ),
            },
            results={
                "ok": "boolean",
                "said": "text",
            },
            check=_check_refuse,
            requires={
                "turn": frozenset(
                    {
                        "open",
                    }
                ),
                "advice": frozenset(
                    {
                        "none",
                    }
                ),
            },
            sets={
                "turn": "over",
            },
            uses=("voice",),
            costs={
                "sayings": 1,
            },
            fallback="need_information",
        ),
        "need_information": Skill(
            name="need_information",
            summary="Says that more information is needed.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "missing": Argument(
                    type="string",
                    summary="what is missing; without it, the usual sentence",
                ),
            },
            results={
                "ok": "boolean",
                "said": "text",
            },
            check=_check_need_information,
        ),
    },
    data_edges={
        "look_up": frozenset(),
        "answer": frozenset(
            {
                "look_up",
                "cite",
            }
        ),
        "ask": frozenset(
            {
                "look_up",
            }
        ),
        "cite": frozenset(
            {
                "look_up",
            }
        ),
        "advise": frozenset(
            {
                "cite",
            }
        ),
        "disclaim": frozenset(
            {
                "advise",
            }
        ),
        "refuse": frozenset(),
        "need_information": frozenset(),
    },
    condition_edges={
        "look_up": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "answer": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "ask": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "cite": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "advise": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "disclaim": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "refuse": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "need_information": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
    },
    sequence_edges={
        "look_up": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "answer": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "ask": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "cite": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "advise": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "disclaim": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "refuse": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
        "need_information": frozenset(
            {
                "look_up",
                "answer",
                "ask",
                "cite",
                "advise",
                "disclaim",
                "refuse",
                "need_information",
            }
        ),
    },
    mode="flexible",
    facts={
        "turn": Fact(
            values=(
                "open",
                "over",
            ),
            initial="open",
        ),
        "cited": Fact(
            values=(
                "none",
                "given",
            ),
            initial="none",
        ),
        "advice": Fact(
            values=(
                "none",
                "held",
            ),
            initial="none",
        ),
    },
    resources={
        "voice": Resource(fixed_order=True, capacity=1),
    },
    budgets={
        "sayings": 6,
    },
)
