"""`python -m builderbrain.plan {check,show,generate,from-openapi}`: plans on the command line.

Exit status: 0 accepted or current, 1 refused or stale, 2 unusable input.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from builderbrain.errors import BuilderBrainError, PlanSyntaxError
from builderbrain.plan import Plan, check, parse_text, plan_from_json, plan_to_json, print_text, to_graphviz, to_mermaid
from builderbrain.plan.domain import SAFETY_LEVELS
from builderbrain.plan.faults import Verdict, quoted
from builderbrain.plan.json_form import MAX_PLAN_CHARACTERS, load_json

_FORMS: dict[str, Callable[[Plan], str]] = {
    "text": print_text,
    "json": lambda plan: json.dumps(plan_to_json(plan), indent=2, ensure_ascii=False),
    "mermaid": to_mermaid,
    "graphviz": to_graphviz,
}


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="python -m builderbrain.plan", description="Check, show and generate plans.")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="judge a plan and name every fault")
    checking.add_argument("file", help="file with a plan, JSON or text form; - reads standard input")
    checking.add_argument("--grant", action="append", choices=SAFETY_LEVELS, default=[], help="allow a level beyond read_only")
    checking.add_argument("--json", action="store_true", help="print the verdict as JSON")
    showing = commands.add_parser("show", help="print a plan in another form")
    showing.add_argument("file", help="file with a plan, JSON or text form; - reads standard input")
    showing.add_argument("--as", dest="form", choices=sorted(_FORMS), default="text", help="form to print (default: text)")
    generating = commands.add_parser("generate", help="write checkers, grammars and reference pages from schemas/")
    generating.add_argument("--check", action="store_true", help="write nothing; fail when a generated file is not current")
    reading = commands.add_parser("from-openapi", help="write the domain schema of an OpenAPI file")
    reading.add_argument("file", help="OpenAPI 3.0 or 3.1, YAML or JSON")
    reading.add_argument("--domain", required=True, help="name of the domain")
    reading.add_argument("--version", type=int, default=1, help="version of the domain (default: 1)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(arguments)
    try:
        if options.command == "check":
            return _check(options.file, frozenset({"read_only", *options.grant}), as_json=options.json)
        if options.command == "show":
            print(_FORMS[options.form](_read_plan(_read(options.file))).removesuffix("\n"))
            return 0
        if options.command == "from-openapi":
            return _from_openapi(Path(options.file), options.domain, options.version)
        return _generate(check_only=options.check)
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2


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


def _read_plan(text: str) -> Plan:
    return plan_from_json(text) if _is_json(text) else parse_text(text.strip())


def _check(name: str, granted: frozenset[str], *, as_json: bool) -> int:
    text = _read(name)
    verdict = check(load_json(text) if _is_json(text) else parse_text(text.strip()), granted=granted)
    print(json.dumps(verdict.to_json(), indent=2, ensure_ascii=False) if as_json else _describe(verdict))
    return 0 if verdict.accepted else 1


def _describe(verdict: Verdict) -> str:
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
