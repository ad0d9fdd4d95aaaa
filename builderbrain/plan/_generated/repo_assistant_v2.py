"""Planchecker of the domain repo_assistant, version 2.

Searches, checks, mends, remembers, proves, measures and trains below a working root.
Generated from schemas/repo_assistant.v2.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import Argument, Domain, Fact, Resource, Skill
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


def _check_docs_lint(step: Step, scope: Scope, faults: list[Fault]) -> None:
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
                faults.append(fault.unknown_argument(step.id, "docs_lint", name, legal))


def _check_memory_search(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # query: string
    if (value := args.get("query", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "query", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "query", "string", value))
        elif not 1 <= len(value) <= 512:
            faults.append(fault.bad_value(step.id, "query", value, "must have 1 to 512 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "query", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "memory_search", "query", "string"))
    # limit: integer, optional
    if (value := args.get("limit", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "limit", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "limit", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "limit", value, "must be at least 1", "give at least 1"))
        elif value > 20:
            faults.append(fault.bad_value(step.id, "limit", value, "must be at most 20", "give at most 20"))
    if known != len(args):
        legal = ("query", "limit")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "memory_search", name, legal))


def _check_patch_dry_run(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # patch: text
    if (value := args.get("patch", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "patch", "text", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "patch", "text", value))
        elif not 1 <= len(value) <= 65536:
            faults.append(fault.bad_value(step.id, "patch", value, "must have 1 to 65536 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "patch", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "patch_dry_run", "patch", "text"))
    if known != len(args):
        legal = ("patch",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "patch_dry_run", name, legal))


def _check_memory_add(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # text: text
    if (value := args.get("text", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "text", "text", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "text", "text", value))
        elif not 1 <= len(value) <= 4096:
            faults.append(fault.bad_value(step.id, "text", value, "must have 1 to 4096 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "text", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "memory_add", "text", "text"))
    if known != len(args):
        legal = ("text",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "memory_add", name, legal))


def _check_memory_forget(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # id: integer
    if (value := args.get("id", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "id", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "id", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "id", value, "must be at least 1", "give at least 1"))
    else:
        faults.append(fault.missing_argument(step.id, "memory_forget", "id", "integer"))
    if known != len(args):
        legal = ("id",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "memory_forget", name, legal))


def _check_fix_tests(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # patch: text, optional
    if (value := args.get("patch", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "patch", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "patch", "text", value))
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
        legal = ("patch", "path")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "fix_tests", name, legal))


def _check_undo_fix(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # applied: text
    if (value := args.get("applied", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "applied", "text", value, faults)
        else:
            faults.append(fault.literal_argument(step.id, "applied", "text", value))
    else:
        faults.append(fault.missing_argument(step.id, "undo_fix", "applied", "text"))
    if known != len(args):
        legal = ("applied",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "undo_fix", name, legal))


def _check_run_tests(step: Step, scope: Scope, faults: list[Fault]) -> None:
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
                faults.append(fault.unknown_argument(step.id, "run_tests", name, legal))


def _check_type_check(step: Step, scope: Scope, faults: list[Fault]) -> None:
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
                faults.append(fault.unknown_argument(step.id, "type_check", name, legal))


def _check_prove_algebra(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # claim: string
    if (value := args.get("claim", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "claim", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "claim", "string", value))
        elif not 1 <= len(value) <= 512:
            faults.append(fault.bad_value(step.id, "claim", value, "must have 1 to 512 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "claim", value, reason, remedy))
    else:
        faults.append(fault.missing_argument(step.id, "prove_algebra", "claim", "string"))
    if known != len(args):
        legal = ("claim",)
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "prove_algebra", name, legal))


def _check_prove_suite(step: Step, scope: Scope, faults: list[Fault]) -> None:
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
    # marker: string, optional
    if (value := args.get("marker", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "marker", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "marker", "string", value))
        elif not 1 <= len(value) <= 64:
            faults.append(fault.bad_value(step.id, "marker", value, "must have 1 to 64 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "marker", value, reason, remedy))
    if known != len(args):
        legal = ("path", "marker")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "prove_suite", name, legal))


def _check_evaluate(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # bench: string, optional
    if (value := args.get("bench", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "bench", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "bench", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "bench", value, reason, remedy))
        elif value not in ("plan-bench", "brain-bench", "held-out", "wordings"):
            remedy = fault.nearest(value, ("plan-bench", "brain-bench", "held-out", "wordings"))
            faults.append(fault.bad_value(step.id, "bench", value, "is not one of the legal values", remedy))
    # rail: path, optional
    if (value := args.get("rail", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "rail", "path", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "rail", "path", value))
        elif not 1 <= len(value) <= 1024:
            faults.append(fault.bad_value(step.id, "rail", value, "must have 1 to 1024 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "rail", value, reason, remedy))
        elif (reason := path_fault(value)) is not None:
            faults.append(fault.path_escape(step.id, "rail", value, reason))
    if known != len(args):
        legal = ("bench", "rail")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "evaluate", name, legal))


def _check_train(step: Step, scope: Scope, faults: list[Fault]) -> None:
    args = step.args
    known = 0
    # output: path
    if (value := args.get("output", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "output", "path", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "output", "path", value))
        elif not 1 <= len(value) <= 256:
            faults.append(fault.bad_value(step.id, "output", value, "must have 1 to 256 characters", "shorten or fill it"))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "output", value, reason, remedy))
        elif (reason := path_fault(value)) is not None:
            faults.append(fault.path_escape(step.id, "output", value, reason))
    else:
        faults.append(fault.missing_argument(step.id, "train", "output", "path"))
    # data: string, optional
    if (value := args.get("data", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "data", "string", value, faults)
        elif type(value) is not str:
            faults.append(fault.ill_typed_argument(step.id, "data", "string", value))
        elif (reason := fault.text_fault(value)) is not None:
            remedy = "leave that character out"
            faults.append(fault.bad_value(step.id, "data", value, reason, remedy))
        elif value not in ("repo_assistant", "scan"):
            remedy = fault.nearest(value, ("repo_assistant", "scan"))
            faults.append(fault.bad_value(step.id, "data", value, "is not one of the legal values", remedy))
    # steps: integer, optional
    if (value := args.get("steps", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "steps", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "steps", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "steps", value, "must be at least 1", "give at least 1"))
        elif value > 5000:
            faults.append(fault.bad_value(step.id, "steps", value, "must be at most 5000", "give at most 5000"))
    # seed: integer, optional
    if (value := args.get("seed", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "seed", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "seed", "integer", value))
        elif value < 0:
            faults.append(fault.bad_value(step.id, "seed", value, "must be at least 0", "give at least 0"))
        elif value > 1000000:
            faults.append(fault.bad_value(step.id, "seed", value, "must be at most 1000000", "give at most 1000000"))
    # minutes: integer, optional
    if (value := args.get("minutes", ABSENT)) is not ABSENT:
        known += 1
        if type(value) is Reference:
            scope.reference(step, "minutes", "integer", value, faults)
        elif type(value) is not int:
            faults.append(fault.ill_typed_argument(step.id, "minutes", "integer", value))
        elif value < 1:
            faults.append(fault.bad_value(step.id, "minutes", value, "must be at least 1", "give at least 1"))
        elif value > 30:
            faults.append(fault.bad_value(step.id, "minutes", value, "must be at most 30", "give at most 30"))
    if known != len(args):
        legal = ("output", "data", "steps", "seed", "minutes")
        for name in args:
            if name not in legal:
                faults.append(fault.unknown_argument(step.id, "train", name, legal))


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
    version=2,
    schema_sha256="1a54707ec84f0be42f942cd56fd22decfb32ed6d88383027efff0859c4471438",
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
        "docs_lint": Skill(
            name="docs_lint",
            summary="Finds links that lead nowhere, open code fences and odd headings in Markdown files.",
            safety="read_only",
            timeout_seconds=10,
            arguments={
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder or file to look through",
                ),
            },
            results={
                "ok": "boolean",
                "clean": "boolean",
                "count": "integer",
                "first_path": "path",
                "paths": "list of path",
                "text": "text",
            },
            check=_check_docs_lint,
        ),
        "memory_search": Skill(
            name="memory_search",
            summary="Finds what was remembered, by its words; the best match first.",
            safety="read_only",
            timeout_seconds=5,
            arguments={
                "query": Argument(
                    type="string",
                    required=True,
                    summary="words that the entry has",
                ),
                "limit": Argument(
                    type="integer",
                    default=5,
                    summary="entries to give at most",
                    maximum=20,
                ),
            },
            results={
                "ok": "boolean",
                "count": "integer",
                "id": "integer",
                "first": "text",
                "text": "text",
            },
            check=_check_memory_search,
            retry_attempts=3,
            retry_wait_seconds=0.5,
        ),
        "patch_dry_run": Skill(
            name="patch_dry_run",
            summary="Says whether a unified diff applies to the working root; writes nothing.",
            safety="mutating",
            timeout_seconds=10,
            arguments={
                "patch": Argument(
                    type="text",
                    required=True,
                    summary="a unified diff",
                ),
            },
            results={
                "ok": "boolean",
                "applies": "boolean",
                "patch": "text",
                "count": "integer",
                "first_path": "path",
                "text": "text",
            },
            check=_check_patch_dry_run,
            uses=("workspace",),
            idempotent=True,
        ),
        "memory_add": Skill(
            name="memory_add",
            summary="Remembers a text for later plans.",
            safety="mutating",
            timeout_seconds=5,
            arguments={
                "text": Argument(
                    type="text",
                    required=True,
                    summary="what to remember",
                ),
            },
            results={
                "ok": "boolean",
                "id": "integer",
                "text": "text",
            },
            check=_check_memory_add,
            retry_attempts=3,
            retry_wait_seconds=0.5,
            idempotent=True,
            undo="memory_forget",
        ),
        "memory_forget": Skill(
            name="memory_forget",
            summary="Forgets one entry for good.",
            safety="mutating",
            timeout_seconds=5,
            arguments={
                "id": Argument(
                    type="integer",
                    required=True,
                    summary="number of the entry",
                ),
            },
            results={
                "ok": "boolean",
                "text": "text",
            },
            check=_check_memory_forget,
            retry_attempts=3,
            retry_wait_seconds=0.5,
            idempotent=True,
            undo="memory_add",
        ),
        "fix_tests": Skill(
            name="fix_tests",
            summary="Mends failing tests with a checked patch or a suggested name; keeps only what helps.",
            safety="mutating",
            timeout_seconds=900,
            arguments={
                "patch": Argument(
                    type="text",
                    summary="a diff that patch_dry_run accepted; absent, names are mended",
                    reference_only=True,
                ),
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder or file of the tests",
                ),
            },
            results={
                "ok": "boolean",
                "fixed": "boolean",
                "before": "integer",
                "after": "integer",
                "strategy": "string",
                "applied": "text",
                "text": "text",
            },
            check=_check_fix_tests,
            requires={
                "fix": frozenset(
                    {
                        "none_yet",
                    }
                ),
            },
            sets={
                "fix": "applied",
            },
            uses=("workspace",),
            costs={
                "minutes": 15,
            },
            critical=True,
            undo="undo_fix",
        ),
        "undo_fix": Skill(
            name="undo_fix",
            summary="Takes the diff of a fix back.",
            safety="mutating",
            timeout_seconds=30,
            arguments={
                "applied": Argument(
                    type="text",
                    required=True,
                    summary="the diff that fix_tests applied",
                    reference_only=True,
                ),
            },
            results={
                "ok": "boolean",
                "text": "text",
            },
            check=_check_undo_fix,
            requires={
                "fix": frozenset(
                    {
                        "applied",
                    }
                ),
            },
            sets={
                "fix": "none_yet",
            },
            uses=("workspace",),
            idempotent=True,
        ),
        "run_tests": Skill(
            name="run_tests",
            summary="Runs the tests of the working root with pytest.",
            safety="meta",
            timeout_seconds=600,
            arguments={
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder or file of the tests",
                ),
            },
            results={
                "ok": "boolean",
                "passed": "boolean",
                "count": "integer",
                "failed": "integer",
                "first_path": "path",
                "paths": "list of path",
                "text": "text",
            },
            check=_check_run_tests,
            uses=("workspace",),
            costs={
                "minutes": 10,
            },
            idempotent=True,
        ),
        "type_check": Skill(
            name="type_check",
            summary="Checks the types of the working root with mypy; writes nothing.",
            safety="meta",
            timeout_seconds=300,
            arguments={
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder or file to check",
                ),
            },
            results={
                "ok": "boolean",
                "passed": "boolean",
                "count": "integer",
                "first_path": "path",
                "paths": "list of path",
                "text": "text",
            },
            check=_check_type_check,
            uses=("workspace",),
            costs={
                "minutes": 5,
            },
            idempotent=True,
        ),
        "prove_algebra": Skill(
            name="prove_algebra",
            summary="Decides an algebraic identity over the real numbers, where it can.",
            safety="meta",
            timeout_seconds=20,
            arguments={
                "claim": Argument(
                    type="string",
                    required=True,
                    summary="such as (x+1)^2 = x^2+2*x+1",
                ),
            },
            results={
                "ok": "boolean",
                "verdict": "string",
                "holds": "boolean",
                "counterexample": "string",
                "text": "text",
            },
            check=_check_prove_algebra,
            costs={
                "minutes": 1,
            },
            idempotent=True,
        ),
        "prove_suite": Skill(
            name="prove_suite",
            summary="Runs the property tests of the working root.",
            safety="meta",
            timeout_seconds=600,
            arguments={
                "path": Argument(
                    type="path",
                    default=".",
                    summary="folder or file of the tests",
                ),
                "marker": Argument(
                    type="string",
                    default="hypothesis",
                    summary="pytest marker of property tests",
                ),
            },
            results={
                "ok": "boolean",
                "passed": "boolean",
                "count": "integer",
                "failed": "integer",
                "first_path": "path",
                "text": "text",
            },
            check=_check_prove_suite,
            uses=("workspace",),
            costs={
                "minutes": 10,
            },
            idempotent=True,
        ),
        "evaluate": Skill(
            name="evaluate",
            summary="Measures a rail on one of the project's benches; leaves nothing behind.",
            safety="meta",
            timeout_seconds=900,
            arguments={
                "bench": Argument(
                    type="string",
                    default="plan-bench",
                    summary="what to measure on",
                ),
                "rail": Argument(
                    type="path",
                    summary="folder of a rail below the root; absent, the bundled one",
                ),
            },
            results={
                "ok": "boolean",
                "score": "number",
                "right": "integer",
                "count": "integer",
                "text": "text",
            },
            check=_check_evaluate,
            uses=("engine",),
            costs={
                "minutes": 15,
            },
            idempotent=True,
        ),
        "train": Skill(
            name="train",
            summary="Trains a rail on generated goals; the same call again goes on where it was cut off.",
            safety="meta",
            timeout_seconds=1860,
            arguments={
                "output": Argument(
                    type="path",
                    required=True,
                    summary="folder of the run, below the root",
                ),
                "data": Argument(
                    type="string",
                    default="repo_assistant",
                    summary="what to train on",
                ),
                "steps": Argument(
                    type="integer",
                    default=100,
                    summary="steps of the whole run",
                    maximum=5000,
                ),
                "seed": Argument(
                    type="integer",
                    default=0,
                    summary="of weights and goals",
                    maximum=1000000,
                ),
                "minutes": Argument(
                    type="integer",
                    default=10,
                    summary="time after which it is stopped",
                    maximum=30,
                ),
            },
            results={
                "ok": "boolean",
                "rail": "path",
                "text": "text",
            },
            check=_check_train,
            uses=("engine",),
            costs={
                "minutes": "minutes",
            },
            idempotent=True,
            irreversible=True,
            critical=True,
            confirm=True,
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
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "read": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "list": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "docs_lint": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "memory_search": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "patch_dry_run": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "memory_add": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "memory_forget": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "fix_tests": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "undo_fix": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "run_tests": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "type_check": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "prove_algebra": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "prove_suite": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "evaluate": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "train": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "talk": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
    },
    condition_edges={
        "search": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "read": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "list": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "docs_lint": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "memory_search": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "patch_dry_run": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "memory_add": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "memory_forget": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "fix_tests": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "undo_fix": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "run_tests": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "type_check": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "prove_algebra": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "prove_suite": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "evaluate": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "train": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
        "talk": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "fix_tests",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
            }
        ),
    },
    sequence_edges={
        "search": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "read": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "list": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "docs_lint": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "memory_search": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "patch_dry_run": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "memory_add": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "memory_forget": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "fix_tests": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "undo_fix": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "run_tests": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "type_check": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "prove_algebra": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "prove_suite": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "evaluate": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "train": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
        "talk": frozenset(
            {
                "search",
                "read",
                "list",
                "docs_lint",
                "memory_search",
                "patch_dry_run",
                "memory_add",
                "memory_forget",
                "fix_tests",
                "undo_fix",
                "run_tests",
                "type_check",
                "prove_algebra",
                "prove_suite",
                "evaluate",
                "train",
                "talk",
            }
        ),
    },
    facts={
        "fix": Fact(
            values=(
                "none_yet",
                "applied",
            ),
            initial="none_yet",
        ),
    },
    resources={
        "workspace": Resource(fixed_order=True, capacity=1),
        "engine": Resource(fixed_order=False, capacity=1),
    },
    budgets={
        "minutes": 60,
    },
)
