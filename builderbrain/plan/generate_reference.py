"""From a domain schema to its reference page in Markdown."""

from __future__ import annotations

from builderbrain.plan.schema import EDGE_KINDS, ArgumentSchema, DomainSchema, SkillSchema

_MODES = {
    "strict": "output that is no plan of this domain is never given out",
    "flexible": "where no plan can be decoded, free text may take its place",
}
_RESULT_OR_ARGUMENT = "called with the results and arguments of the step that have its arguments' names"


def reference_page(schema: DomainSchema) -> str:
    """Text of `docs/domains/<domain>.md` (of the version in use), or of `<domain>.v<version>.md`."""
    limits = schema.limits
    lines = [
        f"# Domain `{schema.domain}`, version {schema.version}",
        "",
        f"<!-- Generated from schemas/{schema.domain}.v{schema.version}.yaml by `python -m builderbrain.plan generate`. -->",
        "",
        schema.summary,
        "",
        f"A plan has at most {limits.max_steps} steps, chains at most {limits.max_depth} of them, and runs at most "
        f"{limits.max_width} at the same time.",
        "",
    ]
    if schema.language > 1:
        lines.extend([f"Mode `{schema.mode}`: {_MODES[schema.mode]}.", ""])
    if schema.fallback is not None:
        lines.extend([f"When no plan for a goal is accepted: `{schema.fallback}`.", ""])
    lines.extend(_state(schema))
    for name, skill in schema.skills.items():
        lines.extend(_skill(name, skill))
    lines.extend(["## Edges", "", "| kind | from | to |", "|---|---|---|"])
    for kind in EDGE_KINDS:
        pairs = schema.legal_edges(kind)
        for source in schema.skills:
            targets = [f"`{target}`" for other, target in pairs if other == source]
            lines.append(f"| {kind} | `{source}` | {', '.join(targets) or '-'} |")
    return "\n".join(lines) + "\n"


def _state(schema: DomainSchema) -> list[str]:
    """Tables of facts, resources and budgets; nothing for a domain without them."""
    lines: list[str] = []
    if schema.facts:
        lines.extend(["## Facts", "", "| fact | values | at the start |", "|---|---|---|"])
        for name, fact in schema.facts.items():
            initial = f"`{fact.initial}`" if fact.initial is not None else "unknown"
            lines.append(f"| `{name}` | {_listed(fact.one_of)} | {initial} |")
        lines.append("")
    if schema.resources:
        lines.extend(["## Resources", "", "| resource | steps that use it |", "|---|---|"])
        for name, resource in schema.resources.items():
            capacity = resource.capacity or 1
            fixed = "one at a time, in the order that the plan gives"
            lines.append(f"| `{name}` | {fixed if resource.order == 'fixed' else f'{capacity} at a time, in any order'} |")
        lines.append("")
    if schema.budgets:
        lines.extend(["## Budgets", "", "| budget | limit of a plan |", "|---|---|"])
        lines.extend(f"| `{name}` | {budget.limit} |" for name, budget in schema.budgets.items())
        lines.append("")
    return lines


def _rules(skill: SkillSchema) -> list[str]:
    """What binds a step of the skill to others and to the executor, one line each."""
    lines = [f"Requires `{fact}` to be {_listed(legal, ' or ')}." for fact, legal in skill.requires.items()]
    lines += [f"Sets `{fact}` to `{value}`." for fact, value in skill.sets.items()]
    if skill.uses:
        lines.append(f"Uses {_listed(skill.uses)}.")
    for budget, cost in skill.costs.items():
        lines.append(f"Costs its argument `{cost}` of `{budget}`." if isinstance(cost, str) else f"Costs {cost} of `{budget}`.")
    if skill.retry is not None:
        attempts, wait = skill.retry.attempts, skill.retry.wait_seconds
        lines.append(f"Transient faults: {attempts} attempts, the first wait {wait:g} s, each further one twice as long.")
    if skill.irreversible:
        lines.append("Irreversible: comes after every step that can be taken back.")
    if skill.undo_skill is not None:
        lines.append(f"Taken back by `{skill.undo_skill}`, {_RESULT_OR_ARGUMENT}.")
    elif skill.undo is not None:
        lines.append("There is nothing to take back.")
    if skill.critical:
        lines.append("Critical: its failure stops the plan.")
    if skill.confirm:
        lines.append("A person confirms it before the plan runs.")
    if skill.fallback is not None:
        lines.append(f"When it fails for good: `{skill.fallback}`.")
    if skill.equivalent:
        lines.append(f"May be replaced by {_listed(skill.equivalent, ' or ')}.")
    if skill.cache_seconds is not None:
        lines.append(f"A result may stand for an equal call for {skill.cache_seconds:g} s.")
    return [f"- {line}" for line in lines]


def _listed(names: list[str], joint: str = ", ") -> str:
    return joint.join(f"`{name}`" for name in names)


def _skill(name: str, skill: SkillSchema) -> list[str]:
    signature = ", ".join(f"{argument}{'' if declared.required else '?'}" for argument, declared in skill.arguments.items())
    lines = [f"## `{name}({signature})`", "", skill.summary, ""]
    lines.extend(
        [f"Safety `{skill.safety}`{', idempotent' if skill.idempotent else ''}, timeout {skill.timeout_seconds:g} s.", ""]
    )
    rules = _rules(skill)
    lines.extend([*rules, ""] if rules else [])
    if skill.arguments:
        lines.extend(["| argument | type | | meaning |", "|---|---|---|---|"])
        lines.extend(
            f"| `{argument}` | {declared.type} | {_presence(declared)} | {declared.summary} |"
            for argument, declared in skill.arguments.items()
        )
        lines.append("")
    lines.extend(
        ["| result | type | meaning |", "|---|---|---|", "| `ok` | boolean | whether the step ran without a failure |"]
    )
    lines.extend(f"| `{result}` | {declared.type} | {declared.summary} |" for result, declared in skill.results.items())
    lines.append("")
    return lines


def _presence(declared: ArgumentSchema) -> str:
    if declared.required:
        return "required"
    return "optional" if declared.default is None else f"default `{declared.default}`"
