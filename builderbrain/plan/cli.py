"""`python -m builderbrain.plan {check,show,repair,generate,from-openapi}`: plans on the command line.

`agent/plan_cli.py` runs them.

Exit status: 0 accepted or current, 1 refused or stale, 2 unusable input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from builderbrain.errors import BuilderBrainError, PlanSyntaxError
from builderbrain.plan import (
    Plan,
    check,
    get_domain,
    parse_text,
    plan_from_json,
    plan_to_json,
    print_text,
    to_graphviz,
    to_mermaid,
)
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.faults import Verdict, quoted
from builderbrain.plan.json_form import MAX_PLAN_CHARACTERS, load_json
from builderbrain.plan.repair import repair

_FORMS: dict[str, Callable[[Plan], str]] = {
    "text": print_text,
    "json": lambda plan: json.dumps(plan_to_json(plan), indent=2, ensure_ascii=False),
    "mermaid": to_mermaid,
    "graphviz": to_graphviz,
}


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m builderbrain.plan", description="Check, show, repair and generate plans.")
    add_commands(parser.add_subparsers(dest="command", required=True))
    return parser


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands that need nothing but a plan."""
    checking = commands.add_parser("check", help="judge a plan and name every fault")
    add_plan_options(checking)
    checking.add_argument("--json", action="store_true", help="print the verdict as JSON")
    showing = commands.add_parser("show", help="print a plan in another form")
    add_plan_options(showing, grants=False)
    showing.add_argument("--as", dest="form", choices=sorted(_FORMS), default="text", help="form to print (default: text)")
    repairing = commands.add_parser("repair", help="mend a refused plan; prints it, and on standard error what was changed")
    add_plan_options(repairing)
    repairing.add_argument("--as", dest="form", choices=sorted(_FORMS), default="text", help="form to print (default: text)")
    repairing.add_argument("--json", action="store_true", help="print the plan and everything that was tried as JSON")
    generating = commands.add_parser("generate", help="write checkers, grammars and reference pages from schemas/")
    generating.add_argument("--check", action="store_true", help="write nothing; fail when a generated file is not current")
    reading = commands.add_parser("from-openapi", help="write the domain schema of an OpenAPI file")
    reading.add_argument("file", help="OpenAPI 3.0 or 3.1, YAML or JSON")
    reading.add_argument("--domain", required=True, help="name of the domain")
    reading.add_argument("--version", type=int, default=1, help="version of the domain (default: 1)")


def add_plan_options(parser: argparse.ArgumentParser, *, grants: bool = True) -> None:
    """What every command that reads a plan takes."""
    parser.add_argument("file", help="file with a plan, JSON or text form; - reads standard input")
    parser.add_argument("--domain", default="repo_assistant", help="domain of a plan in text form (default: repo_assistant)")
    if grants:
        parser.add_argument(
            "--grant", action="append", choices=SAFETY_LEVELS, default=[], help="allow a level beyond read_only"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return run_command(build_parser().parse_args(arguments))


def run_command(options: argparse.Namespace) -> int:
    """Run a command of `add_commands`."""
    try:
        if options.command == "generate":
            return _generate(check_only=options.check)
        if options.command == "from-openapi":
            return _from_openapi(Path(options.file), options.domain, options.version)
        source = read_source(options)
        if options.command == "check":
            return _check(source, granted_by(options), as_json=options.json)
        if options.command == "repair":
            return _repair(source, options)
        plan = source if isinstance(source, Plan) else plan_from_json(source)
        print(_FORMS[options.form](plan).removesuffix("\n"))
        return 0
    except BuilderBrainError as error:
        return refused_input(error)


def refused_input(error: BuilderBrainError) -> int:
    """Say what is wrong with the input and in which field; the exit status for it."""
    named = f"{error.field}: " if error.field and error.field not in error.message else ""
    print(f"error: {named}{error.message}", file=sys.stderr)
    return 2


def granted_by(options: argparse.Namespace) -> frozenset[str]:
    """The levels that a command line grants."""
    return frozenset({"read_only", *options.grant})


def read_source(options: argparse.Namespace) -> Plan | Any:
    """The plan of a command line: a `Plan` from the text form, decoded JSON from JSON.

    Raises:
        PlanSyntaxError: there is no such file, or it is neither.
        SchemaError: there is no such domain.
    """
    text = _read(options.file)
    if _is_json(text):
        return load_json(text)
    domain = get_domain(options.domain)
    return parse_text(text.strip(), domain=domain.name, version=domain.version)


def _repair(source: Plan | Any, options: argparse.Namespace) -> int:
    found = repair(source, granted=granted_by(options))
    if options.json:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return 0 if found.accepted else 1
    for one in found.tried:
        told = "changed" if one.kept else f"tried, and not kept ({one.refused})"
        print(f"{told}: {one.said}\n      since {one.why}", file=sys.stderr)
    print(found.ended, file=sys.stderr)
    if found.accepted and found.plan is not None:
        print(_FORMS[options.form](found.plan).removesuffix("\n"))
        return 0
    print(describe(found.verdict), file=sys.stderr)
    return 1


def _read(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(MAX_PLAN_CHARACTERS + 1)
        with Path(name).open(encoding="utf-8") as file:
            return file.read(MAX_PLAN_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise PlanSyntaxError(f"expected a file with a plan, got {name}: {error}", field="file") from error


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[", '"')


def _check(source: Plan | Any, granted: frozenset[str], *, as_json: bool) -> int:
    verdict = check(source, granted=granted)
    print(json.dumps(verdict.to_json(), indent=2, ensure_ascii=False) if as_json else describe(verdict))
    return 0 if verdict.accepted else 1


def describe(verdict: Verdict) -> str:
    """A verdict in words, a fault a line with its remedy."""
    if verdict.accepted:
        return f"accepted; a person confirms {quoted(verdict.confirm)}" if verdict.confirm else "accepted"
    count = len(verdict.faults)
    lines = [f"refused, {count} fault{'s' if count > 1 else ''}:"]
    for fault in verdict.faults:
        lines.append(f"  {fault.step or 'plan'}: {fault.message}  [{fault.code}]")
        lines.append(f"      -> {fault.remedy}")
    return "\n".join(lines)


def _generate(*, check_only: bool) -> int:
    from builderbrain.plan.generate import stale_files, write_files  # reads YAML and pydantic models, only here

    if check_only:
        stale = stale_files()
        for path in stale:
            print(f"{path} is not current; run python -m builderbrain.plan generate", file=sys.stderr)
        if not stale:
            print("every generated file is current")
        return 1 if stale else 0
    changed = write_files()
    for path in changed:
        print(f"wrote {path}")
    if not changed:
        print("every generated file was current")
    return 0


def _from_openapi(path: Path, domain: str, version: int) -> int:
    from builderbrain.plan.openapi.write import write_domain  # reads YAML and pydantic models, only here

    written = write_domain(path, domain=domain, version=version)
    for left in written.left_out:
        print(f"{'no skill for' if left.whole else 'left out'} {left.pointer}: {left.reason}")
    print(f"{written.path} {'written' if written.changed else 'was current'}; now run python -m builderbrain.plan generate")
    return 0
