"""Planchecker of the domain scan, version 1.

Turns a movement command into moves; a step says what one clause of the command says.
Generated from schemas/scan.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.scope import ABSENT, Scope


def _check_do(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # act: string
    if (value := args.get("act", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "act", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "act", "string", value))
        elif not 1 <= len(value) <= 64:
            faults.append(fault.bad_value(step.id, "act", value, "must have 1 to 64 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "act", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "do", "act", "string"))
    # way: string, optional
    if (value := args.get("way", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "way", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "way", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "way", value, reason, remedy))
        elif value not in ("opposite", "around"):
            remedy = fault.nearest(value, ("opposite", "around"))
            faults.append(fault.bad_value(step.id, "way", value, "is not one of the legal values", remedy))
    # to: string, optional
    if (value := args.get("to", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "to", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "to", "string", value))
        elif not 1 <= len(value) <= 64:
            faults.append(fault.bad_value(step.id, "to", value, "must have 1 to 64 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "to", value, reason, remedy))
    # times: string, optional
    if (value := args.get("times", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "times", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "times", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "times", value, reason, remedy))
        elif value not in ("twice", "thrice"):
            remedy = fault.nearest(value, ("twice", "thrice"))
            faults.append(fault.bad_value(step.id, "times", value, "is not one of the legal values", remedy))
    if known != len(args):
        legal = ("act", "way", "to", "times")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "do", name, legal))


def _check_then(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # a: list of string
    if (value := args.get("a", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "a", "list of string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "a", "list of string", value))
    else:
        faults.append(fault.missing_argument(step.id, "then", "a", "list of string"))
    # b: list of string
    if (value := args.get("b", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "b", "list of string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "b", "list of string", value))
    else:
        faults.append(fault.missing_argument(step.id, "then", "b", "list of string"))
    if known != len(args):
        legal = ("a", "b")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "then", name, legal))


def _check_follows(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # a: list of string
    if (value := args.get("a", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "a", "list of string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "a", "list of string", value))
    else:
        faults.append(fault.missing_argument(step.id, "follows", "a", "list of string"))
    # b: list of string
    if (value := args.get("b", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "b", "list of string", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "b", "list of string", value))
    else:
        faults.append(fault.missing_argument(step.id, "follows", "b", "list of string"))
    if known != len(args):
        legal = ("a", "b")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "follows", name, legal))


DOMAIN = Domain(
    name="scan",
    version=1,
    schema_sha256="e64fa4f5293ffa3847ba59f8535aeb490c142a83bffaa70e4249abe8cd237c94",
    max_steps=3,
    max_depth=2,
    max_width=2,
    skills={
        "do": Skill(
            name="do",
            summary="Moves as one clause says; act and to hold words of the command.",
            safety="read_only",
            timeout_seconds=1,
            arguments={
                "act": Argument(
                    type="string",
                    required=True,
                    summary="the verb: walk, run, look, jump or turn",
                ),
                "way": Argument(
                    type="string",
                    summary="how to turn before moving; without it, once",
                ),
                "to": Argument(
                    type="string",
                    summary="the direction to turn to: left or right",
                ),
                "times": Argument(
                    type="string",
                    summary="how often; without it, once",
                ),
            },
            results={
                "ok": "boolean",
                "actions": "list of string",
            },
            check=_check_do,
        ),
        "then": Skill(
            name="then",
            summary="Joins two steps that the command joins by `and`, a first.",
            safety="read_only",
            timeout_seconds=1,
            arguments={
                "a": Argument(
                    type="list of string",
                    required=True,
                    summary="moves of the clause before the word",
                    reference_only=True,
                ),
                "b": Argument(
                    type="list of string",
                    required=True,
                    summary="moves of the clause behind it",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "actions": "list of string",
            },
            check=_check_then,
        ),
        "follows": Skill(
            name="follows",
            summary="Joins two steps that the command joins by `after`, b first.",
            safety="read_only",
            timeout_seconds=1,
            arguments={
                "a": Argument(
                    type="list of string",
                    required=True,
                    summary="moves of the clause before the word",
                    reference_only=True,
                ),
                "b": Argument(
                    type="list of string",
                    required=True,
                    summary="moves of the clause behind it",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "actions": "list of string",
            },
            check=_check_follows,
        ),
    },
    data_edges={
        "do": frozenset(),
        "then": frozenset(
            {
                "do",
            }
        ),
        "follows": frozenset(
            {
                "do",
            }
        ),
    },
    condition_edges={
        "do": frozenset(),
        "then": frozenset(),
        "follows": frozenset(),
    },
    sequence_edges={
        "do": frozenset(),
        "then": frozenset(),
        "follows": frozenset(),
    },
)
