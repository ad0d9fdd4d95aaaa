"""From a domain schema to its reference page in Markdown."""

from __future__ import annotations

from builderbrain.plan.schema import EDGE_KINDS, ArgumentSchema, DomainSchema, SkillSchema


def reference_page(schema: DomainSchema) -> str:
    """Text of `docs/domains/<domain>.md` (of the newest version)."""
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
    for name, skill in schema.skills.items():
        lines.extend(_skill(name, skill))
    lines.extend(["## Edges", "", "| kind | from | to |", "|---|---|---|"])
    for kind in EDGE_KINDS:
        pairs = schema.legal_edges(kind)
        for source in schema.skills:
            targets = [f"`{target}`" for other, target in pairs if other == source]
            lines.append(f"| {kind} | `{source}` | {', '.join(targets) or '-'} |")
    return "\n".join(lines) + "\n"


def _skill(name: str, skill: SkillSchema) -> list[str]:
    signature = ", ".join(f"{argument}{'' if declared.required else '?'}" for argument, declared in skill.arguments.items())
    lines = [f"## `{name}({signature})`", "", skill.summary, ""]
    lines.extend([f"Safety `{skill.safety}`, timeout {skill.timeout_seconds:g} s.", ""])
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
