"""From a domain schema to its planchecker: plain Python, readable, without a line of schema interpretation left in it.

The generated module holds the domain's tables and one function a skill that checks its arguments. The rules about the graph
are the same everywhere and stay in `graph.py`.
"""

from __future__ import annotations

import json

from builderbrain.plan.domain import OK_RESULT
from builderbrain.plan.schema import EDGE_KINDS, ArgumentSchema, DomainSchema, SkillSchema

_HEADER = '''"""Planchecker of the domain {domain}, version {version}.

{summary}
Generated from schemas/{domain}.v{version}.yaml by `python -m builderbrain.plan generate`. Do not edit.
"""

from __future__ import annotations

from builderbrain.plan import faults as fault
from builderbrain.plan.domain import {tables}
from builderbrain.plan.faults import Fault
from builderbrain.plan.model import Reference, Step
{imports}from builderbrain.plan.scope import ABSENT, Scope
'''

_PYTHON_TYPES = {"string": "str", "text": "str", "path": "str", "integer": "int", "number": "float", "boolean": "bool"}

_ROOM = 128 - 12
"""Of a skill's key on one line, with its comma, as the formatter breaks lines."""


def checker_source(schema: DomainSchema, sha256: str) -> str:
    """Source of the module `builderbrain.plan._generated.<domain>_v<version>`.

    Args:
        sha256: hash of the schema file, recorded in the tables.
    """
    paths = any(argument.type.endswith("path") for skill in schema.skills.values() for argument in skill.arguments.values())
    imports = "from builderbrain.plan.paths import path_fault\n" if paths else ""
    tables = ["Argument", "Domain", *(["Fact"] if schema.facts else []), *(["Resource"] if schema.resources else []), "Skill"]
    header = _HEADER.format(
        domain=schema.domain, version=schema.version, summary=schema.summary, imports=imports, tables=", ".join(tables)
    )
    functions = [_skill_function(name, skill) for name, skill in schema.skills.items()]
    return "\n\n".join([header, *functions, _tables(schema, sha256)]) + "\n"


def _skill_function(name: str, skill: SkillSchema) -> str:
    lines = [f"def _check_{name}(step: Step, scope: Scope, faults: list[Fault]) -> None:"]
    lines.append("    args = step.args")
    lines.append("    known = 0")
    for argument, declared in skill.arguments.items():
        lines.extend(_argument_lines(name, argument, declared))
    legal = _tuple([_quote(argument) for argument in skill.arguments])
    lines.append("    if known != len(args):")
    lines.append(f"        legal = {legal}")
    lines.append("        for name in args:")
    lines.append("            if name not in legal:")
    lines.append(f'                faults.append(fault.unknown_argument(step.id, "{name}", name, legal))')
    return "\n".join(lines) + "\n"


def _argument_lines(skill: str, name: str, declared: ArgumentSchema) -> list[str]:
    lines = [f"    # {name}: {declared.type}{'' if declared.required else ', optional'}"]
    lines.append(f'    if (value := args.get("{name}", ABSENT)) is not ABSENT:')
    lines.append("        known += 1")
    lines.append("        if type(value) is Reference:")
    lines.append(f'            scope.reference(step, "{name}", "{declared.type}", value, faults)')
    if declared.reference_only:
        lines.append("        else:")
        lines.append(f'            faults.append(fault.literal_argument(step.id, "{name}", "{declared.type}", value))')
    else:
        lines.append(f"        elif {_wrong_type(declared.type)}:")
        lines.append(f'            faults.append(fault.ill_typed_argument(step.id, "{name}", "{declared.type}", value))')
        lines.extend(_bound_lines(name, declared))
    if declared.required:
        lines.append("    else:")
        lines.append(f'        faults.append(fault.missing_argument(step.id, "{skill}", "{name}", "{declared.type}"))')
    return lines


def _wrong_type(kind: str) -> str:
    if kind.startswith("list of "):
        if kind == "list of number":
            return "type(value) is not tuple or any(type(item) not in (float, int) for item in value)"
        inner = _PYTHON_TYPES[kind.removeprefix("list of ")]
        return f"type(value) is not tuple or any(type(item) is not {inner} for item in value)"
    if kind == "number":
        return "type(value) is not float and type(value) is not int"
    return f"type(value) is not {_PYTHON_TYPES[kind]}"


def _bound_lines(name: str, declared: ArgumentSchema) -> list[str]:
    kind = declared.type.removeprefix("list of ")
    if declared.type != kind:
        return _item_lines(name, kind)
    lines: list[str] = []
    if kind in ("string", "text", "path"):
        lowest, highest = declared.min_length or 0, declared.max_length
        outside = f"not {lowest} <= len(value) <= {highest}" if highest is not None else f"len(value) < {lowest}"
        if highest is not None or lowest:
            wanted = f"must have {lowest} to {highest} characters" if highest is not None else "must not be empty"
            lines.append(f"        elif {outside}:")
            lines.append(
                f'            faults.append(fault.bad_value(step.id, "{name}", value, "{wanted}", "shorten or fill it"))'
            )
        lines.append("        elif (reason := fault.text_fault(value)) is not None:")
        lines.append('            remedy = "leave that character out"')
        lines.append(f'            faults.append(fault.bad_value(step.id, "{name}", value, reason, remedy))')
    if kind == "path":
        lines.append("        elif (reason := path_fault(value)) is not None:")
        lines.append(f'            faults.append(fault.path_escape(step.id, "{name}", value, reason))')
    if declared.one_of is not None:
        listed = _tuple([_quote(item) for item in declared.one_of])
        lines.append(f"        elif value not in {listed}:")
        lines.append(f"            remedy = fault.nearest(value, {listed})")
        reason = '"is not one of the legal values"'
        lines.append(f'            faults.append(fault.bad_value(step.id, "{name}", value, {reason}, remedy))')
    for bound, operator, word in ((declared.minimum, "<", "at least"), (declared.maximum, ">", "at most")):
        if bound is not None:
            lines.append(f"        elif value {operator} {bound}:")
            problem, remedy = f"must be {word} {bound}", f"give {word} {bound}"
            lines.append(f'            faults.append(fault.bad_value(step.id, "{name}", value, "{problem}", "{remedy}"))')
    return lines


def _item_lines(name: str, kind: str) -> list[str]:
    if kind not in ("string", "text", "path"):
        return []
    lines = ["        else:", "            for item in value:"]
    lines.append("                if (reason := fault.text_fault(item)) is not None:")
    lines.append(
        f'                    faults.append(fault.bad_value(step.id, "{name}", item, reason, "leave that character out"))'
    )
    if kind == "path":
        lines.append("                elif (reason := path_fault(item)) is not None:")
        lines.append(f'                    faults.append(fault.path_escape(step.id, "{name}", item, reason))')
    return lines


def _tables(schema: DomainSchema, sha256: str) -> str:
    lines = ["DOMAIN = Domain("]
    lines.append(f"    name={_quote(schema.domain)},")
    lines.append(f"    version={schema.version},")
    lines.append(f"    schema_sha256={_quote(sha256)},")
    for limit in ("max_steps", "max_depth", "max_width"):
        lines.append(f"    {limit}={getattr(schema.limits, limit)},")
    lines.append("    skills={")
    for name, skill in schema.skills.items():
        lines.extend(_skill_table(name, skill))
    lines.append("    },")
    for kind in EDGE_KINDS:
        lines.append(f"    {kind}_edges={{")
        for name in schema.skills:
            lines.extend(_edge_table(name, [source for source, target in schema.legal_edges(kind) if target == name]))
        lines.append("    },")
    lines.extend(_domain_keys(schema))
    lines.append(")")
    return "\n".join(lines)


def _edge_table(name: str, sources: list[str]) -> list[str]:
    if not sources:
        return [f"        {_quote(name)}: frozenset(),"]
    listed = [f"                {_quote(source)}," for source in sources]
    return [f"        {_quote(name)}: frozenset(", "            {", *listed, "            }", "        ),"]


def _skill_table(name: str, skill: SkillSchema) -> list[str]:
    lines = [f"        {_quote(name)}: Skill("]
    lines.append(f"            name={_quote(name)},")
    lines.append(f"            summary={_quote(skill.summary)},")
    lines.append(f"            safety={_quote(skill.safety)},")
    lines.append(f"            timeout_seconds={skill.timeout_seconds!r},")
    lines.append("            arguments={" if skill.arguments else "            arguments={},")
    for argument, declared in skill.arguments.items():
        given = [f"type={_quote(declared.type)}"]
        given += ["required=True"] if declared.required else []
        if declared.default is not None:
            default = declared.default
            given.append(f"default={_quote(default) if isinstance(default, str) else repr(default)}")
        given += [f"summary={_quote(declared.summary)}"] if declared.summary else []
        given += [f"maximum={declared.maximum}"] if declared.maximum is not None else []
        given += ["reference_only=True"] if declared.reference_only else []
        lines.append(f"                {_quote(argument)}: Argument(")
        lines.extend(f"                    {part}," for part in given)
        lines.append("                ),")
    lines.extend(["            },"] if skill.arguments else [])
    lines.append("            results={")
    results = {OK_RESULT: "boolean", **{result: declared.type for result, declared in skill.results.items()}}
    lines.extend(f"                {_quote(result)}: {_quote(kind)}," for result, kind in results.items())
    lines.append("            },")
    lines.append(f"            check=_check_{name},")
    lines.extend(f"            {line}" for line in _skill_keys(skill))
    lines.append("        ),")
    return lines


def _domain_keys(schema: DomainSchema) -> list[str]:
    """What language 2 adds to a domain; nothing for a domain that says none of it."""
    lines: list[str] = []
    if schema.mode != "strict":
        lines.append(f"    mode={_quote(schema.mode)},")
    if schema.facts:
        lines.append("    facts={")
        for name, fact in schema.facts.items():
            lines += [f"        {_quote(name)}: Fact(", "            values=("]
            lines.extend(f"                {_quote(value)}," for value in fact.one_of)
            lines.append("            ),")
            lines.extend([f"            initial={_quote(fact.initial)},"] if fact.initial is not None else [])
            lines.append("        ),")
        lines.append("    },")
    if schema.resources:
        lines.append("    resources={")
        for name, resource in schema.resources.items():
            fixed = resource.order == "fixed"
            lines.append(f"        {_quote(name)}: Resource(fixed_order={fixed}, capacity={resource.capacity or 1}),")
        lines.append("    },")
    if schema.budgets:
        lines.append("    budgets={")
        lines.extend(f"        {_quote(name)}: {budget.limit}," for name, budget in schema.budgets.items())
        lines.append("    },")
    if schema.fallback is not None:
        lines.append(f"    fallback={_quote(schema.fallback)},")
    return lines


def _skill_keys(skill: SkillSchema) -> list[str]:
    """What language 2 adds to a skill, where it is not the default; spread over lines as the formatter leaves them."""
    lines: list[str] = []
    if skill.requires:
        lines.append("requires={")
        for fact, legal in skill.requires.items():
            values = [f"            {_quote(value)}," for value in legal]
            lines += [f"    {_quote(fact)}: frozenset(", "        {", *values, "        }", "    ),"]
        lines.append("},")
    if skill.sets:
        lines += ["sets={", *(f"    {_quote(fact)}: {_quote(value)}," for fact, value in skill.sets.items()), "},"]
    if len(skill.uses) == 1:
        lines.append(f"uses=({_quote(skill.uses[0])},),")
    elif skill.uses:
        lines += ["uses=(", *(f"    {_quote(resource)}," for resource in skill.uses), "),"]
    if skill.costs:
        costs = {name: _quote(cost) if isinstance(cost, str) else cost for name, cost in skill.costs.items()}
        lines += ["costs={", *(f"    {_quote(name)}: {cost}," for name, cost in costs.items()), "},"]
    if skill.retry is not None:
        lines += [f"retry_attempts={skill.retry.attempts},", f"retry_wait_seconds={float(skill.retry.wait_seconds)!r},"]
    lines += [f"{key}=True," for key in ("idempotent", "irreversible", "critical", "confirm") if getattr(skill, key)]
    if skill.undo_skill is not None:
        lines.append(f"undo={_quote(skill.undo_skill)},")
    if skill.fallback is not None:
        lines.append(f"fallback={_quote(skill.fallback)},")
    if len(skill.equivalent) == 1:
        lines.append(f"equivalent=({_quote(skill.equivalent[0])},),")
    elif skill.equivalent:
        lines += ["equivalent=(", *(f"    {_quote(other)}," for other in skill.equivalent), "),"]
    if skill.cache_seconds is not None:
        lines.append(f"cache_seconds={float(skill.cache_seconds)!r},")
    return lines


def _quote(text: str) -> str:
    """A Python string literal in double quotes; JSON's escapes are Python's too."""
    return json.dumps(text, ensure_ascii=False)


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
