"""Planchecker of the domain repo_assistant, version 1.

Finds, lists and reads files below a working root, and says something about them.
Generated from schemas/repo_assistant.v1.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Skill
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
from builderbrain.plan.paths import path_fault
from builderbrain.plan.scope import ABSENT, Scope


def _check_search(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # pattern: string
    if (value := args.get("pattern", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "pattern", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "pattern", "string", value))
        elif not 1 <= len(value) <= 512:
            faults.append(fault.bad_value(step.id, "pattern", value, "must have 1 to 512 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "pattern", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "search", "pattern", "string"))
    # path: path, optional
    if (value := args.get("path", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "path", "path", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "path", "path", value))
        elif not 1 <= len(value) <= 1024:
            faults.append(fault.bad_value(step.id, "path", value, "must have 1 to 1024 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "path", value, reason, remedy))
        elif (reason := path_fault(value)) is not None:
            faults.append(fault.path_escape(step.id, "path", value, reason))
    if known != len(args):
        legal = ("pattern", "path")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "search", name, legal))


def _check_read(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # path: path
    if (value := args.get("path", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "path", "path", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "path", "path", value))
        elif not 1 <= len(value) <= 1024:
            faults.append(fault.bad_value(step.id, "path", value, "must have 1 to 1024 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "path", value, reason, remedy))
        elif (reason := path_fault(value)) is not None:
            faults.append(fault.path_escape(step.id, "path", value, reason))
    else:
        faults.append(fault.missing_argument(step.id, "read", "path", "path"))
    if known != len(args):
        legal = ("path",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "read", name, legal))


def _check_list(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # path: path, optional
    if (value := args.get("path", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "path", "path", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "path", "path", value))
        elif not 1 <= len(value) <= 1024:
            faults.append(fault.bad_value(step.id, "path", value, "must have 1 to 1024 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "path", value, reason, remedy))
        elif (reason := path_fault(value)) is not None:
            faults.append(fault.path_escape(step.id, "path", value, reason))
    if known != len(args):
        legal = ("path",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "list", name, legal))


def _check_talk(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # text: string
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "string", value))
        elif not 1 <= len(value) <= 4096:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 4096 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "talk", "text", "string"))
    # about: text, optional
    if (value := args.get("about", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "about", "text", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "about", "text", value))
        elif not 0 <= len(value) <= 65536:
            faults.append(fault.bad_value(step.id, "about", value, "must have 0 to 65536 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "about", value, reason, remedy))
    if known != len(args):
        legal = ("text", "about")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "talk", name, legal))


DOMAIN = Domain(
    name="repo_assistant",
    version=1,
    schema_sha256="8492bc388fee75a0058626997b0cb36943c141e8dbd9992f1e0272abd49ccec2",
    max_steps=16,
    max_depth=12,
    max_width=8,
    skills={
        "search": Skill(
            name="search",
            summary="Finds lines that contain a phrase, whatever the case; the most useful file comes first.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "pattern": Argument(
                    type="string",
                    required=True,
                    summary="words to find, taken literally",
                ),
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder or file to search",
                ),
            },
            results={
                "ok": "boolean",
                "count": "integer",
                "first_path": "path",
                "last_path": "path",
                "paths": "list of path",
                "text": "text",
            },
            check=_check_search,
        ),
        "read": Skill(
            name="read",
            summary="Reads a text file.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "path": Argument(
                    type="path",
                    required=True,
                    summary="file to read",
                ),
            },
            results={
                "ok": "boolean",
                "path": "path",
                "lines": "integer",
                "text": "text",
            },
            check=_check_read,
        ),
        "list": Skill(
            name="list",
            summary="Lists what is directly in a folder.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder to list",
                ),
            },
            results={
                "ok": "boolean",
                "count": "integer",
                "first_path": "path",
                "last_path": "path",
                "paths": "list of path",
                "text": "text",
            },
            check=_check_list,
        ),
        "talk": Skill(
            name="talk",
            summary="Says something, alone or about the text of an earlier step.",
            safety="read_only",
            timeout_seconds=1,
            arguments={
                "text": Argument(
                    type="string",
                    required=True,
                    summary="what to say",
                ),
                "about": Argument(
                    type="text",
                    summary="text of an earlier step, quoted below",
                ),
            },
            results={
                "ok": "boolean",
                "text": "text",
            },
            check=_check_talk,
        ),
    },
    data_edges={
        "search": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
        "read": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
        "list": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
        "talk": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
    },
    condition_edges={
        "search": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
        "read": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
        "list": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
        "talk": frozenset(
            {
                "search",
                "read",
                "list",
            }
        ),
    },
    sequence_edges={
        "search": frozenset(
            {
                "search",
                "read",
                "list",
                "talk",
            }
        ),
        "read": frozenset(
            {
                "search",
                "read",
                "list",
                "talk",
            }
        ),
        "list": frozenset(
            {
                "search",
                "read",
                "list",
                "talk",
            }
        ),
        "talk": frozenset(
            {
                "search",
                "read",
                "list",
                "talk",
            }
        ),
    },
)
