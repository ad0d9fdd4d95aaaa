"""`python -m builderbrain.plan {goal,dry-run,run,resume}` beside the commands of `plan/cli.py`: goals and plans are run.

Exit status: 0 everything was done, 1 the checker, the policy or a person refused and nothing was run, 2 unusable input,
3 it ran and not everything was done, 4 something is unknown or not taken back (`resume` goes on).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from builderbrain.agent.answer import compose_answer, compose_dry_run
from builderbrain.agent.executor import Runtime, WorkingRoot, resume, run_plan
from builderbrain.agent.ledger import Ledger
from builderbrain.agent.policy import ConfirmationRequest, Policy, decide
from builderbrain.agent.report import ExecutionReport
from builderbrain.errors import BuilderBrainError, ConfigError, PlanRejectedError, PolicyError
from builderbrain.plan import CheckedPlan, Verdict, checked
from builderbrain.plan.cli import add_commands, add_plan_options, describe, granted_by, read_source, refused_input, run_command
from builderbrain.plan.domain import SAFETY_LEVELS

_OWN = frozenset({"goal", "dry-run", "run", "resume"})
NANO = "builderbrain-nano"
DEFAULT_DOMAIN = "repo_assistant"


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.plan", description="Check, show, repair, run and generate plans."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add_commands(commands)
    trying = commands.add_parser("dry-run", help="say what running a plan would do, and what would be asked first")
    add_plan_options(trying)
    running = commands.add_parser("run", help="check a plan and run it")
    add_plan_options(running)
    asking = commands.add_parser("goal", help="make a plan for a goal in words, check it, run it and answer")
    asking.add_argument("goal", help="what is to be done")
    asking.add_argument("--domain", default=DEFAULT_DOMAIN, help=f"domain of the plan (default: {DEFAULT_DOMAIN})")
    asking.add_argument("--rail", type=Path, help="folder of the domain's rail (default: the one that comes with the base)")
    asking.add_argument("--model", default=NANO, help=f"folder or Hugging Face name of the base (default: {NANO})")
    asking.add_argument("--grant", action="append", choices=SAFETY_LEVELS, default=[], help="allow a level beyond read_only")
    asking.add_argument("--dry-run", action="store_true", help="say what would be done, and run nothing")
    for command in (running, asking):
        command.add_argument("--root", default=".", help="folder that the tools work in (default: the current one)")
        command.add_argument("--yes", action="store_true", help="agree to every step that a person must agree to")
    resuming = commands.add_parser("resume", help="go on with an execution that was cut off")
    resuming.add_argument("execution", help="its name, which run prints")
    for command, needed in ((running, False), (asking, False), (resuming, True)):
        told = "folder of the ledger and the journals" + ("" if needed else "; needed by plans with effects")
        command.add_argument("--state-dir", required=needed, help=told)
        command.add_argument("--json", action="store_true", help="print what became of it as JSON, with its journal")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(arguments)
    if options.command not in _OWN:
        return run_command(options)
    try:
        if options.command == "resume":
            with _runtime(options) as runtime:
                report = anyio.run(partial(resume, options.execution, runtime=runtime))
            return _report(report, as_json=options.json)
        if options.command == "goal":
            return _goal(options)
        plan = checked(read_source(options), granted=granted_by(options))
        return _dry_run(plan) if options.command == "dry-run" else _run(plan, options)
    except PlanRejectedError as error:
        print(describe(error.verdict) if isinstance(error.verdict, Verdict) else error.message, file=sys.stderr)
        return 1
    except PolicyError as error:
        print(f"refused: {error.message}", file=sys.stderr)
        return 1
    except BuilderBrainError as error:
        return refused_input(error)


def _dry_run(plan: CheckedPlan) -> int:
    print(compose_dry_run(plan.plan))
    for one in decide(plan, Policy()):
        if one.decision != "allow":
            print(f"{one.step}: {one.decision}, since {one.reason}")
    return 0


def _root(options: argparse.Namespace) -> WorkingRoot:
    root = Path(options.root)
    if not root.is_dir():
        raise ConfigError(f"expected --root to be a folder, got {options.root!r}, which is none", field="root")
    return WorkingRoot(root)


def _goal(options: argparse.Namespace) -> int:
    from builderbrain.agent.goal_cli import planner_for, run_goal  # brings a model

    root = _root(options)
    propose = planner_for(options.goal, options.domain, rail=options.rail, base=options.model)
    with _runtime(options) as runtime:
        granted = granted_by(options)
        result = run_goal(
            options.goal, options.domain, propose, root=root, granted=granted, runtime=runtime, dry_run=options.dry_run
        )
    print(json.dumps(result.to_json(), indent=2, ensure_ascii=False) if options.json else result.answer)
    if not result.verdict.accepted:
        return 1
    if result.pending is not None:
        print("nothing was run: a person must agree first; add --yes", file=sys.stderr)
        return 1
    return 0 if result.report is None else _status(result.report)


def _run(plan: CheckedPlan, options: argparse.Namespace) -> int:
    root = _root(options)
    with _runtime(options) as runtime:
        report = anyio.run(partial(run_plan, plan, root, runtime=runtime))
    return _report(report, as_json=options.json)


@contextmanager
def _runtime(options: argparse.Namespace) -> Iterator[Runtime]:
    """With a ledger where a folder for it is named; another process may open it afterwards."""
    if options.state_dir is None:
        yield Runtime(confirm=_confirm(options))
        return
    folder = Path(options.state_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made ({error.strerror or error}); name another", field="state-dir") from error
    ledger = Ledger(folder / "ledger.db")
    try:
        yield Runtime(ledger=ledger, journal_folder=folder, confirm=_confirm(options))
    finally:
        ledger.close()


class _Person:
    """Asks whoever sits at the terminal."""

    def __init__(self, *, agrees: bool) -> None:
        self._agrees = agrees

    async def __call__(self, request: ConfirmationRequest) -> bool:
        for one in request.steps:
            arguments = json.dumps(dict(request.arguments[one.step]), ensure_ascii=False)
            print(f"{one.step} ({one.skill}) {arguments}: {one.reason}", file=sys.stderr)
        if self._agrees:
            return True
        print("Run the plan? Type yes: ", end="", file=sys.stderr, flush=True)
        return (await anyio.to_thread.run_sync(sys.stdin.readline)).strip() == "yes"


def _confirm(options: argparse.Namespace) -> _Person | None:
    """Nobody answers where there is no terminal and nothing was agreed to before."""
    agrees = bool(getattr(options, "yes", False))
    return _Person(agrees=agrees) if agrees or (sys.stdin.isatty() and getattr(options, "file", None) != "-") else None


def _report(report: ExecutionReport, *, as_json: bool) -> int:
    if as_json:
        told = {**report.to_json(), "journal": [event.to_json() for event in report.events]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(compose_answer(report.entries))
        for undo in report.undos:
            print(f"{undo.step}: {undo.said}")
    return _status(report)


def _status(report: ExecutionReport) -> int:
    """The exit status of an execution, and on standard error what is left to do."""
    if report.status == "unsettled":
        print(f"unsettled; go on with: python -m builderbrain.plan resume {report.execution} --state-dir ...", file=sys.stderr)
        return 4
    if report.status == "stopped":
        print(f"stopped: {report.reason}", file=sys.stderr)
    return 0 if report.status == "finished" and all(entry.status in ("done", "skipped") for entry in report.entries) else 3
