"""What `data=` reads: an ingested folder, or a JSONL file (`.gz` is unpacked) of traces or of goals with plans.

A trace is one of docs/traces.md: what its user said is the goal, its `plan` the target. The other form of a row is
`{"goal": text, "plan": text form}` of `repo_assistant`, with the labels `intent`, `pick`, `pattern` and `path` where they are
known; what is not given follows from the plan. A bad row of either form is an error with its line. A good trace that cannot be
trained on is counted with the reason, since a folder that was ingested cannot be edited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builderbrain.data import Trace, open_dataset, trace_from_json
from builderbrain.data.dataset import split_file
from builderbrain.data.json_lines import parse_object, read_lines
from builderbrain.data.read_trace import fault, text
from builderbrain.errors import ConfigError, DataError, PlanSyntaxError
from builderbrain.plan import Plan, check, parse_text
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.inputs import GENERATED

DOMAINS = ("repo_assistant", "scan")
"""Domains with a schema whose labels training knows."""
LEAST_ROWS = 20
_LABELS = ("intent", "pick", *REPO_ASSISTANT.span_slots)
_TRACE_KEYS = frozenset(("id", "domain", "messages", "calls"))


@dataclass(frozen=True, kw_only=True)
class Request:
    """A goal with its plan. `labels` are those that the row names itself; a `forgiving` row may be left out."""

    domain: str
    text: str
    plan: Plan
    where: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    forgiving: bool = False


@dataclass(kw_only=True)
class LeftOut:
    """How many rows are not trained on, by reason, with the first of each and what was wrong with it; and keys not read."""

    counts: Counter[str] = field(default_factory=Counter)
    keys: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, where: str, message: str = "") -> None:
        """Count a row."""
        self.counts[reason] += 1
        self.first.setdefault(reason, f"{where}: {message}" if message else where)

    def lines(self) -> list[str]:
        """A line for each reason, and for each key."""
        reasons = [f"left out: {count} {reason} (the first: {self.first[reason]})" for reason, count in self.counts.items()]
        return reasons + [f"not read: the key {key!r} of {count} rows" for key, count in sorted(self.keys.items())]


@dataclass(frozen=True, kw_only=True)
class Requests:
    """All requests of one domain. `held_out` is None where the data has no such part of its own."""

    source: str
    domain: str
    train: tuple[Request, ...]
    held_out: tuple[Request, ...] | None
    left_out: LeftOut


def read_requests(data: str) -> Requests:
    """Read and check everything that `data` names.

    Raises:
        ConfigError: there is no such file or folder, or nothing in it can be trained on.
        DataError: a file or folder is torn, or a row is bad; names file, line and place.
    """
    path, left_out = Path(data), LeftOut()
    held_out: list[Request] | None = None
    if path.is_dir():
        open_dataset(path)  # every byte is verified before any is read
        train = list(_requests(path / split_file("train"), left_out))
        held_out = list(_requests(path / split_file("validation"), left_out)) or None
    elif path.is_file():
        train = list(_requests(path, left_out))
    else:
        raise ConfigError(
            f"expected data={'|'.join(GENERATED)}, a folder that `ingest` made, or a JSONL file of traces, got {data!r}",
            field="data",
        )
    found = Counter(request.domain for request in [*train, *(held_out or ())])
    if not found:
        raise ConfigError(f"expected rows to train on in {data}, got none; {_advice(left_out)}", field="data")
    domain = max(sorted(found), key=lambda name: found[name])
    return Requests(
        source=data,
        domain=domain,
        train=_of_domain(domain, train, left_out),
        held_out=None if held_out is None else _of_domain(domain, held_out, left_out),
        left_out=left_out,
    )


def _of_domain(domain: str, requests: Iterable[Request], left_out: LeftOut) -> tuple[Request, ...]:
    kept = []
    for request in requests:
        if request.domain == domain:
            kept.append(request)
        else:
            left_out.add(f"of {request.domain}, since most are of {domain}", request.where)
    return tuple(kept)


def _requests(path: Path, left_out: LeftOut) -> Iterator[Request]:
    for line in read_lines(path):
        where = f"{path.name} line {line.number}"
        try:
            request = request_of(parse_object(line), where, left_out)
        except DataError as error:
            raise DataError(f"{where}: {error.message}", field="data") from error
        if request is not None:
            yield request


def request_of(row: Mapping[str, Any], where: str, left_out: LeftOut) -> Request | None:
    """The request of a row in either form; None for a trace that is no training row, which is counted.

    Args:
        where: file and line, for what is counted.

    Raises:
        DataError: the row is bad; names the place in it.
    """
    if "goal" in row or not _TRACE_KEYS & set(row):
        return _of_goal(row, where, left_out)
    return _of_trace(trace_from_json(row), where, left_out)


def _of_trace(trace: Trace, where: str, left_out: LeftOut) -> Request | None:
    """None for a trace that is no training row, which is counted."""
    if trace.domain not in DOMAINS:
        left_out.add(f"of the domain {trace.domain!r}, which has no schema here", where)
    elif trace.plan is None:
        left_out.add("without a plan", where)
    elif not trace.request.strip():
        left_out.add("in which no user says anything", where)
    elif trace.risk is not None and trace.risk.harmful:
        left_out.add("labelled harmful", where)
    elif not (verdict := check(trace.plan)).accepted:
        left_out.add("whose plan the checker refuses", where, verdict.faults[0].message)
    else:
        return Request(domain=trace.domain, text=trace.request, plan=trace.plan, where=where, forgiving=True)
    return None


def _of_goal(row: Mapping[str, Any], where: str, left_out: LeftOut) -> Request:
    if "goal" not in row or "plan" not in row:
        wanted = "goal" if "goal" not in row else "plan"
        raise DataError(f'expected a trace, or {{"goal": text, "plan": plan in text form}}, got no {wanted!r}', field=wanted)
    goal = text(row, "goal", "")
    if not goal.strip():
        raise fault("goal", "a request in words", goal)
    left_out.keys.update(set(row) - {"goal", "plan", *_LABELS})
    try:
        plan = parse_text(text(row, "plan", ""), domain=REPO_ASSISTANT.name, version=REPO_ASSISTANT.version)
    except PlanSyntaxError as error:
        raise DataError(f"plan: {error.message}", field="plan") from error
    verdict = check(plan)
    if not verdict.accepted:
        raise DataError(f"the plan is refused: {verdict.faults[0].message}", field="plan")
    options = {"intent": REPO_ASSISTANT.intents, **dict(REPO_ASSISTANT.choice_slots)}
    labels = {name: row[name] for name in _LABELS if row.get(name) is not None}
    for name, value in labels.items():
        if name in options and value not in options[name]:
            raise fault(name, f"one of {', '.join(options[name])}", value)
        if name not in options and not (isinstance(value, str) and value.strip() and value in goal):
            raise fault(name, "a part of the goal, word for word", value)
    return Request(domain=REPO_ASSISTANT.name, text=goal, plan=plan, where=where, labels=labels)


def _advice(left_out: LeftOut) -> str:
    """What to do when no row is left."""
    known = " and ".join(DOMAINS)
    schema = (
        f"plans are trained under the grammar of their domain's schema, and there are those of {known}: write one "
        "(schemas/README.md), or train on a graph of tools, which needs none, with data=toolgraph (docs/toolgraph.md)"
    )
    lines = "; ".join(left_out.lines()) or "the file is empty"
    return f"{lines}. {schema if any('no schema' in reason for reason in left_out.counts) else 'Name data that has some'}"
