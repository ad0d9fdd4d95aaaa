"""The text form of a plan, what the model emits: one step a line, one spelling.

    s1=search(pattern="retry policy")
    s2=read(path=s1.first_path)
    s3=talk(text="Done.",about=s2.text) after s1 if s2.ok

Strings are JSON string literals, references are bare. Arguments equal to their default are left out, `after` lists the needs
that no reference implies.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan.condition import parse_condition
from builderbrain.plan.json_form import MAX_PLAN_CHARACTERS, MAX_READ_STEPS
from builderbrain.plan.model import Plan, Reference, Step
from builderbrain.plan.normal import implied_needs, normalised
from builderbrain.plan.registry import find_domain, version_in_use

_HEAD = re.compile(r"(s[1-9][0-9]{0,3})=([a-z][a-z0-9_]{0,63})\(")
_NAME = re.compile(r"([a-z][a-z0-9_]{0,63})=")
_REFERENCE = re.compile(r"(s[1-9][0-9]{0,3})\.([a-z][a-z0-9_]{0,63})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?![0-9])(\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,3})?")
_NEEDS = re.compile(r" after (s[1-9][0-9]{0,3}(?:,s[1-9][0-9]{0,3})*)(?= |\Z)")
_WORD = re.compile(r"[a-z][a-z0-9_]*").fullmatch
_ID = re.compile(r"s[1-9][0-9]{0,3}").fullmatch
_DECODER = json.JSONDecoder()


def parse_text(text: str, *, domain: str = "repo_assistant", version: int | None = None) -> Plan:
    """A plan in normal form from its text form; one newline at the end is allowed. The plan need not pass the checker.

    Args:
        version: of the domain; by default the one in use, and 1 for a domain that does not exist.

    Raises:
        PlanSyntaxError: names the line, the column, what was expected and what came; `field` is `line N`.
    """
    if len(text) > MAX_PLAN_CHARACTERS:
        raise PlanSyntaxError(f"a plan has at most {MAX_PLAN_CHARACTERS} characters, got {len(text)}; split it", field="plan")
    lines = text.removesuffix("\n").split("\n")  # not splitlines: a string literal may hold U+2028
    if len(lines) > MAX_READ_STEPS:
        raise PlanSyntaxError(f"a plan has at most {MAX_READ_STEPS} lines, got {len(lines)}; split it", field="plan")
    steps = tuple(_Line(line, number).step() for number, line in enumerate(lines, start=1))
    meant = version if version is not None else version_in_use(domain) or 1
    return normalised(Plan(domain, meant, steps), find_domain(domain, meant))


def print_text(plan: Plan) -> str:
    """The text form, without a newline at the end. `parse_text` gives the plan's normal form back.

    Raises:
        PlanSyntaxError: an id, a name or a value has no spelling in the text form (the checker would refuse it as well).
    """
    normal = normalised(plan, find_domain(plan.domain, plan.version))
    return "\n".join(_print_step(step) for step in normal.steps)


def _print_step(step: Step) -> str:
    for name in (step.skill, *step.args):
        if not _WORD(name):
            raise PlanSyntaxError(f"{step.id}: expected a name of letters, digits and _, got {name!r}", field=step.id)
    for name in (step.id, *step.needs):
        if not _ID(name):
            raise PlanSyntaxError(f"expected a step id such as s1, got {name!r}; number the steps s1, s2, ...", field="id")
    arguments = ",".join(f"{name}={_print_value(step, value)}" for name, value in step.args.items())
    implied = implied_needs(step)
    extra = [name for name in step.needs if name not in implied]
    after = f" after {','.join(extra)}" if extra else ""
    condition = f" if {parse_condition(step.condition)}" if step.condition is not None else ""
    return f"{step.id}={step.skill}({arguments}){after}{condition}"


def _print_value(step: Step, value: Any) -> str:
    if isinstance(value, Reference):
        if not _REFERENCE.fullmatch(str(value)):
            raise PlanSyntaxError(f"{step.id}: expected a reference such as s1.text, got {str(value)!r}", field=step.id)
        return str(value)
    if isinstance(value, tuple):
        return f"[{','.join(_print_value(step, item) for item in value)}]"
    if type(value) in (str, int, float, bool):
        return json.dumps(value, ensure_ascii=False)
    raise PlanSyntaxError(f"{step.id}: a {type(value).__name__} has no spelling in the text form", field=step.id)


class _Line:
    """A cursor over one line."""

    def __init__(self, line: str, number: int) -> None:
        self.line = line
        self.number = number
        self.position = 0

    def fail(self, expected: str) -> NoReturn:
        got = repr(self.line[self.position : self.position + 24]) if self.position < len(self.line) else "the end of the line"
        place = f"line {self.number}, column {self.position + 1}"
        raise PlanSyntaxError(f"{place}: expected {expected}, got {got}", field=f"line {self.number}")

    def match(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        match = pattern.match(self.line, self.position)
        if match is None:
            self.fail(expected)
        self.position = match.end()
        return match

    def take(self, text: str) -> bool:
        if not self.line.startswith(text, self.position):
            return False
        self.position += len(text)
        return True

    def step(self) -> Step:
        head = self.match(_HEAD, f"a step such as s{self.number}=skill(")
        args = self.arguments()
        needs: tuple[str, ...] = ()
        if self.line.startswith(" after ", self.position):
            needs = tuple(self.match(_NEEDS, "' after ' and step ids such as s1,s2")[1].split(","))
        condition = None
        if self.take(" if "):
            text = self.line[self.position :]
            try:
                condition = str(parse_condition(text))
            except PlanSyntaxError as error:
                raise PlanSyntaxError(f"line {self.number}: {error.message}", field=f"line {self.number}") from None
        elif self.position != len(self.line):
            self.fail("' after ', ' if ' or the end of the line")
        return Step(head[1], head[2], args, needs, condition)

    def arguments(self) -> dict[str, Any]:
        args: dict[str, Any] = {}
        if self.take(")"):
            return args
        while True:
            start = self.position
            name = self.match(_NAME, "an argument such as path=")[1]
            if name in args:
                self.position = start
                self.fail(f"{name} once")
            args[name] = self.value()
            if self.take(")"):
                return args
            if not self.take(","):
                self.fail("',' or ')'")

    def value(self) -> Any:
        if self.line.startswith("[", self.position):
            return self.items()
        reference = _REFERENCE.match(self.line, self.position)
        if reference is not None:
            self.position = reference.end()
            return Reference(reference[1], reference[2])
        return self.scalar()

    def items(self) -> tuple[Any, ...]:
        self.position += 1
        if self.take("]"):
            return ()
        items = [self.scalar()]
        while self.take(","):
            items.append(self.scalar())
        if not self.take("]"):
            self.fail("',' or ']'")
        return tuple(items)

    def scalar(self) -> str | int | float | bool:
        if self.line.startswith('"', self.position):
            try:
                value, end = _DECODER.raw_decode(self.line, self.position)
                value.encode("utf-8")
            except ValueError:
                self.fail("a JSON string literal of whole characters")
            self.position = end
            return str(value)
        for word, truth in (("true", True), ("false", False)):
            if self.take(word):
                return truth
        number = self.match(
            _NUMBER, "a string in double quotes, a number, true, false, a list, or a reference such as s1.text"
        )[0]
        return float(number) if any(mark in number for mark in ".eE") else int(number)
