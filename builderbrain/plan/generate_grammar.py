"""From a domain schema to the EBNF that constrains decoding (xgrammar's dialect, root rule `root`) of the text form.

What the grammar guarantees: every complete output parses, names known skills, gives well-typed arguments in declared order,
and refers only to earlier steps and to results that some skill gives in the wanted type. What it leaves to the checker,
because it is not context free: whether the step referred to is of a skill with that result, edges, depth, width, bounds.

Rules that mention earlier steps exist once a step number (`path_3` may say s1 or s2), which keeps the language regular.
Strings have one spelling each, that of `json.dumps(..., ensure_ascii=False)`, so an output prints back as it was decoded.
Character classes name what is allowed, surrogates left out: a mask that excludes instead lets broken UTF-8 through.
"""

from __future__ import annotations

import json

from builderbrain.plan.condition import MAX_TERMS
from builderbrain.plan.domain import OK_RESULT
from builderbrain.plan.ebnf import reached_rules
from builderbrain.plan.schema import ArgumentSchema, DomainSchema, SkillSchema

_LITERALS = {
    "string_0": r'"\"" character* "\""',
    "string_1": r'"\"" character+ "\""',
    "path_literal": r'"\"" path_character+ "\""',
    "integer_literal": '"0" | "-"? [1-9] [0-9]{0,17}',
    "number_literal": 'integer_literal ("." [0-9]{1,15})?',
    "boolean_literal": '"true" | "false"',
}
_CHARACTERS = {
    # Escapes are spelled out without a rule of their own: a nested rule keeps xgrammar from caching the masks inside a
    # string (measured: 719 us a mask with it, 2.6 us without).
    "character": (
        r"[\u0020-\u0021\u0023-\u005b\u005d-\ud7ff\ue000-\U0010ffff]"
        r' | "\\" ["\\bfnrt] | "\\u000" [1-7be-f] | "\\u001" [0-9a-f]'
    ),
    "path_character": r'[\u0020-\u0021\u0023-\u005b\u005d-\u007e\u0080-\ud7ff\ue000-\U0010ffff] | "\\\""',
}
_COMPARED = {"integer": '(" == " | " != " | " < " | " <= " | " > " | " >= ") integer_literal'}
_COMPARED["number"] = _COMPARED["integer"]
_COMPARED["string"] = _COMPARED["path"] = '(" == " | " != ") string_0'


def grammar_source(schema: DomainSchema) -> str:
    """Text of `grammars/<domain>.v<version>.ebnf`."""
    steps = schema.limits.max_steps
    rules: dict[str, str] = {"root": "plan_1"}
    for number in range(1, steps + 1):
        more = f' ("\\n" plan_{number + 1})?' if number < steps else ""
        rules[f"plan_{number}"] = f"step_{number}{more}"
    for number in range(1, steps + 1):
        rules.update(_step_rules(schema, number))
    rules.update(_LITERALS)
    rules.update(_CHARACTERS)
    lines = [
        f"# Text form of plans of {schema.domain}, version {schema.version}.",
        f"# Generated from schemas/{schema.domain}.v{schema.version}.yaml by `python -m builderbrain.plan generate`.",
        *(f"{name} ::= {body}" for name, body in reached_rules(rules).items()),
    ]
    return "\n".join(lines) + "\n"


def _step_rules(schema: DomainSchema, number: int) -> dict[str, str]:
    rules: dict[str, str] = {}
    callable_here = {name: skill for name, skill in schema.skills.items() if number > 1 or not _waits(skill)}
    calls = " | ".join(f"{name}_{number}" for name in callable_here)
    tail = ""
    if number > 1:
        if schema.legal_edges("sequence"):
            tail = f" after_{number}?"
        terms = _terms(schema, number)
        if terms:
            tail += f" if_{number}?"
            rules[f"term_{number}"] = " | ".join(terms)
            several = " | ".join(f'("{word}" term_{number}){{1,{MAX_TERMS - 1}}}' for word in (" and ", " or "))
            rules[f"if_{number}"] = f'" if " term_{number} ({several})?'
        rules[f"after_{number}"] = f'" after " from_{number}_1'
        rules.update(_ascending(number))
        rules[f"earlier_{number}"] = " | ".join(f'"s{earlier}"' for earlier in range(1, number))
    rules = {f"step_{number}": f'"s{number}=" ({calls}){tail}', **rules}
    for name, skill in callable_here.items():
        rules[f"{name}_{number}"] = _call(schema, name, skill, number)
    return rules


def _waits(skill: SkillSchema) -> bool:
    """Whether the skill cannot be called before another one has given a result."""
    return any(declared.required and declared.reference_only for declared in skill.arguments.values())


def _ascending(number: int) -> dict[str, str]:
    """Lists of different earlier steps in ascending order: `from_n_k` starts at step k or above."""
    last = number - 1
    rules = {f"from_{number}_{last}": f'"s{last}"'}
    for first in range(last - 1, 0, -1):
        following = f"from_{number}_{first + 1}"
        rules[f"from_{number}_{first}"] = f'"s{first}" ("," {following})? | {following}'
    return rules


def _call(schema: DomainSchema, name: str, skill: SkillSchema, number: int) -> str:
    arguments = [
        (f'"{argument}=" {_value(schema, declared, number)}', declared.required)
        for argument, declared in skill.arguments.items()
        if number > 1 or not declared.reference_only
    ]
    inner = _sequence(arguments, started=False)
    return " ".join(part for part in (f'"{name}("', inner, '")"') if part)


def _sequence(arguments: list[tuple[str, bool]], *, started: bool) -> str:
    """Arguments in order with commas between those that are there. Once one is there, the rest is a plain chain."""
    if not arguments:
        return ""
    (body, required), rest = arguments[0], arguments[1:]
    if started:
        here = f'"," {body}' if required else f'("," {body})?'
        return " ".join(part for part in (here, _sequence(rest, started=True)) if part)
    here = " ".join(part for part in (body, _sequence(rest, started=True)) if part)
    if required:
        return here
    without = _sequence(rest, started=False)
    return (
        f"({here} | {without})"
        if without and any(needed for _, needed in rest)
        else f"({here}{f' | {without}' if without else ''})?"
    )


def _value(schema: DomainSchema, declared: ArgumentSchema, number: int) -> str:
    results = _results(schema, "data", declared.type)
    if number == 1 or not results:
        return _literal(declared)
    reference = f'earlier_{number} "." ({" | ".join(_quote(result) for result in results)})'
    return reference if declared.reference_only else f"({_literal(declared)} | {reference})"


def _literal(declared: ArgumentSchema) -> str:
    if declared.one_of is not None:
        return f"({' | '.join(_quote(json.dumps(value, ensure_ascii=False)) for value in declared.one_of)})"
    if declared.type.startswith("list of "):
        item = _scalar(declared.type.removeprefix("list of "), 0)
        return f'"[" ({item} ("," {item})*)? "]"'
    return _scalar(declared.type, declared.min_length or 0)


def _scalar(kind: str, lowest: int) -> str:
    if kind in ("string", "text"):
        return f"string_{lowest}"
    return f"{kind}_literal"


def _results(schema: DomainSchema, edge: str, kind: str) -> list[str]:
    """Names of results of a type, of the skills from which such an edge may lead anywhere."""
    sources = dict.fromkeys(source for source, _ in schema.legal_edges("data" if edge == "data" else "condition"))
    named = [OK_RESULT] if kind == "boolean" and sources else []
    for source in sources:
        named.extend(result for result, declared in schema.skills[source].results.items() if declared.type == kind)
    return list(dict.fromkeys(named))


def _terms(schema: DomainSchema, number: int) -> list[str]:
    terms: list[str] = []
    booleans = _results(schema, "condition", "boolean")
    if booleans:
        terms.append(f'"not "? earlier_{number} "." ({" | ".join(map(_quote, booleans))})')
    for kind, comparison in _COMPARED.items():
        results = _results(schema, "condition", kind)
        if results:
            terms.append(f'earlier_{number} "." ({" | ".join(map(_quote, results))}) {comparison}')
    return terms


def _quote(text: str) -> str:
    """An EBNF string literal."""
    return json.dumps(text, ensure_ascii=True)
