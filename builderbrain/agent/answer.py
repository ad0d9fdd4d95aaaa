"""The answer, composed from the trace alone: what was said, found and read, and what could not be done. Nothing is made up.

Text from files is quoted as it is, cut where it is long, inside a fence that it cannot close.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from builderbrain.agent.trace import TraceEntry
from builderbrain.plan import Plan, Verdict, plan_to_json

QUOTED_LINES = 24
QUOTED_CHARACTERS = 2_000
SHOWN_MATCHES = 8
SHOWN_ENTRIES = 40
_BACKTICKS = re.compile(r"`{3,}")
_REFERENCE = re.compile(r"\$\{(\w+)\.(\w+)\}").fullmatch


def compose_answer(trace: Sequence[TraceEntry]) -> str:
    """The answer to the goal whose plan gave this trace; one paragraph a step that has something to say."""
    paragraphs = [_done(entry) if entry.ok else _not_done(entry) for entry in trace]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def compose_dry_run(plan: Plan) -> str:
    """What the plan would do."""
    numbered = (f"{number}. {line}" for number, line in enumerate(plan_lines(plan), start=1))
    return "\n".join(["Nothing was run. The plan:", *numbered])


def plan_lines(plan: Plan) -> list[str]:
    """Each step in words."""
    steps = plan_to_json(plan)["steps"]
    conditions = [f", if {step['if']}" if "if" in step else "" for step in steps]
    return [f"{_attempt(step['skill'], step['args'])}{one}" for step, one in zip(steps, conditions, strict=True)]


def compose_refusal(verdict: Verdict) -> str:
    """Why nothing was run."""
    lines = ["Nothing was run: the plan that was made for this goal is not sound. Saying the goal in other words may help."]
    lines.extend(f"- {f'{fault.step}: ' if fault.step else ''}{fault.message}; {fault.remedy}." for fault in verdict.faults[:5])
    if len(verdict.faults) > 5:
        lines.append(f"- {len(verdict.faults) - 5} more.")
    return "\n".join(lines)


def compose_pending(plan: Plan, steps: Sequence[str]) -> str:
    """A plan waits for a person's yes."""
    return f"{compose_dry_run(plan)}\nIt waits for a person's yes to {', '.join(steps)}."


def compose_fallback(verdict: Verdict, tried: Sequence[tuple[str, bool, str]], *, asks_back: bool) -> str:
    """No plan was accepted: why, and what was done instead.

    Args:
        tried: stage, whether it helped, and what was said of it.
        asks_back: whether the domain speaks freely, so that the answer is a request for information.
    """
    lead = "I need more information: " if asks_back else ""
    lines = [f"{lead}{compose_refusal(verdict)}"]
    lines.extend(f"{stage}: {said}." for stage, _, said in tried if stage in ("breaker", "domain", "hand_off"))
    return "\n".join(lines)


def _done(entry: TraceEntry) -> str:
    render = _RENDERERS.get(entry.skill, _any)
    return render(entry, entry.output or {})


def _not_done(entry: TraceEntry) -> str:
    attempt = _attempt(entry.skill, entry.args)
    if entry.status == "skipped":
        return f"Did not {attempt}: {entry.error}."
    if entry.status == "undone":
        return f"Did {attempt}, but {entry.error}."
    return f"Could not {attempt}: {entry.error}{'' if (entry.error or '').endswith('?') else '.'}"


def _attempt(skill: str, args: Mapping[str, Any]) -> str:
    """The step in words, as they follow "could not"."""
    if skill == "search":
        return f"search {_place(args)} for {_subject(args.get('pattern'))}"
    if skill == "read":
        return f"read {_subject(args.get('path'), quote=False)}"
    if skill == "list":
        return f"list {_place(args)}"
    if skill == "talk":
        return f"say {_subject(args.get('text'))}"
    listed = ", ".join(f"{name}={_subject(value)}" for name, value in args.items())
    return f"run {skill}({listed})"


def _place(args: Mapping[str, Any]) -> str:
    path = args.get("path", ".")
    return "the working root" if path == "." else _subject(path, quote=False)


def _subject(value: Any, *, quote: bool = True) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    reference = _REFERENCE(value)
    if reference is not None:
        return f"the {reference[2].replace('_', ' ')} of {reference[1]}"
    shown = value if len(value) <= 200 else f"{value[:199]}…"
    return json.dumps(shown, ensure_ascii=False) if quote else shown


def _talk(entry: TraceEntry, output: Mapping[str, Any]) -> str:
    return str(output["text"])


def _search(entry: TraceEntry, output: Mapping[str, Any]) -> str:
    phrase, place = _subject(entry.args["pattern"]), _place(entry.args)
    lines = str(output["text"]).split("\n")
    notes = [line[1:-1] for line in lines if line.startswith("[") and line.endswith("]")]
    matches = [line for line in lines if not line.startswith("[")]
    count, files = output["count"], len(output["paths"])
    if not count:
        return f"Nothing in {place} matches {phrase}, neither as it is nor with its words joined in another way."
    where = f"{_count(count, 'line')} in {_count(files, 'file') if files > 1 else output['first_path']}"
    relaxed = [note for note in notes if note.startswith("no line has ")]
    matching = "come close to" if relaxed else "match" if count > 1 else "matches"
    if any("stopped at its limit" in note for note in notes):
        where = f"at least {where}"
    lead = f"{where[0].upper()}{where[1:]} {matching} {phrase}"
    best = f"; first {output['first_path']}" if files > 1 else ""
    more = f"\n{_count(count - SHOWN_MATCHES, 'more line')} not shown." if count > SHOWN_MATCHES else ""
    return f"{lead}{best}:\n{_fenced(_short_list(matches))}{more}"


def _short_list(matches: Sequence[str]) -> str:
    return "\n".join(matches[:SHOWN_MATCHES])


def _read(entry: TraceEntry, output: Mapping[str, Any]) -> str:
    path, count = output["path"], output["lines"]
    asked = entry.args["path"]
    named = f"{path} (the only {asked} here)" if asked != path and "/" not in asked and path.endswith(f"/{asked}") else path
    text = str(output["text"])
    if not text.strip():
        return f"{named} is empty."
    beginning = _beginning(text)
    if beginning == text.rstrip("\n"):
        return f"{named}, {_count(count, 'line')}:\n{_fenced(beginning)}"
    return f"{named}, {_count(count, 'line')}, begins:\n{_fenced(beginning)}"


def _beginning(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    beginning = "\n".join(lines[:QUOTED_LINES])
    return beginning if len(beginning) <= QUOTED_CHARACTERS else f"{beginning[: QUOTED_CHARACTERS - 1]}…"


def _list(entry: TraceEntry, output: Mapping[str, Any]) -> str:
    lines = [line for line in str(output["text"]).split("\n") if line and not line.startswith("[")]
    folders = sum(line.endswith("/") for line in lines)
    place = _place(entry.args)
    if not lines:
        return f"There is nothing to list in {place}."
    counts = ((folders, "folder"), (output["count"], "file"))
    inside = " and ".join(_count(number, noun) for number, noun in counts if number)
    more = f"\n{len(lines) - SHOWN_ENTRIES} more not shown." if len(lines) > SHOWN_ENTRIES else ""
    listed = "\n".join(lines[:SHOWN_ENTRIES])
    start = "The working root" if place == "the working root" else place
    return f"{start} has {inside}:\n{_fenced(listed)}{more}"


def _any(entry: TraceEntry, output: Mapping[str, Any]) -> str:
    """A skill without words of its own: its text when it has one, else its results."""
    text = output.get("text")
    shown = _beginning(text) if isinstance(text, str) else json.dumps(dict(output), ensure_ascii=False)[:QUOTED_CHARACTERS]
    return f"{entry.skill}:\n{_fenced(shown)}"


_RENDERERS: dict[str, Callable[[TraceEntry, Mapping[str, Any]], str]] = {
    "talk": _talk,
    "search": _search,
    "read": _read,
    "list": _list,
}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text}\n{fence}"
