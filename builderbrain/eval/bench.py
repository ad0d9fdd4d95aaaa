"""The benches: fixed goals with reference plans, read from `goals/*.jsonl`.

The goals are data, not code, so that they can be frozen: they were written by people who did not know the training templates,
and every report carries the digest of the file it scored. Three were written before the first rail was trained. `wordings` was
added when training had come to know the kinds of sentences that the held-out bench has: nothing is left out of training for
it, and nobody who worked on the training goals has read it. The slots of an item are spans of its goal, because the
policy heads copy them from there.

Reading is strict. A bench with a broken item would score every subject wrongly and look like a weak model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from builderbrain.errors import BenchError
from builderbrain.train.goals import INTENTS
from builderbrain.train.spoken.domains import spoken_domain

SuiteName = Literal["plan-bench", "brain-bench", "held-out", "wordings"]
SUITE_NAMES: tuple[SuiteName, ...] = get_args(SuiteName)
GOALS_FOLDER = Path(__file__).parent / "goals"
TALK_INTENTS = ("greet", "thank", "farewell", "identify", "capabilities", "refuse")
PICKS = ("first", "last")
_TEXT_FIELDS = ("id", "kind", "goal", "intent", "plan")
_PLAN_FIELDS = ("id", "kind", "goal", "plan")
_SLOT_FIELDS = ("pattern", "path", "pick")


@dataclass(frozen=True, kw_only=True)
class BenchItem:
    """One goal and what is expected of it.

    `plan` is the reference in text form. `pattern` and `path` are the first pattern and the first explicit path of the
    plan, spans of `goal`; `pick` says which search or list result is opened. None means that the goal has no such slot.
    """

    id: str
    kind: str
    goal: str
    intent: str
    plan: str
    pattern: str | None
    path: str | None
    pick: str | None


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A bench as it was read; `sha256` is the digest of its file. Its plans are of `domain`, None for the version in use."""

    name: str
    sha256: str
    items: tuple[BenchItem, ...]
    domain: str = "repo_assistant"
    version: int | None = None


def bench_path(name: SuiteName) -> Path:
    """Where the bundled goals of a suite lie."""
    return GOALS_FOLDER / f"{name.replace('-', '_')}.jsonl"


def load_bench(name: SuiteName, path: Path | None = None) -> Bench:
    """Read a bench.

    Args:
        name: the suite, and the name the report carries.
        path: another file than the bundled one.

    Raises:
        BenchError: the file is missing, or an item is malformed; names the line and the field.
    """
    path = path or bench_path(name)
    return Bench(name=name, **_read(path, _parse_item))


def load_domain_bench(name: str, path: Path | None = None) -> Bench:
    """Read the held-out goals of another domain, each with an id, a kind and its plan; guesses are not asked of these.

    Args:
        name: of the domain, or that which `data` has for a version of it.
        path: another file than the bundled one.

    Raises:
        BenchError: the file is missing, or an item is malformed; names the line and the field.
    """
    if path is None and name not in domain_benches():
        raise BenchError(f"expected a domain with a bench, one of {', '.join(domain_benches())}, got {name!r}", field="domain")
    trained = spoken_domain(name)
    domain, version = (trained.name, trained.version) if trained is not None else (name, None)
    read = _read(path or GOALS_FOLDER / "domains" / f"{name}.jsonl", _parse_plan_item)
    return Bench(name=name, domain=domain, version=version, **read)


def domain_benches() -> tuple[str, ...]:
    """Names that `load_domain_bench` knows."""
    return tuple(sorted(path.stem for path in (GOALS_FOLDER / "domains").glob("*.jsonl")))


def _read(path: Path, parse: Callable[[str, int], BenchItem]) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BenchError(f"expected a bench of goals at {path}, got {error.strerror}", field="goals") from error
    items = tuple(parse(line, number) for number, line in enumerate(content.decode().splitlines(), 1))
    if not items:
        raise BenchError(f"expected at least one goal in {path}, got an empty file", field="goals")
    seen: set[str] = set()
    for item in items:
        for value in (item.id, item.goal):
            if value in seen:
                raise BenchError(f"expected ids and goals to be unique in {path}, got {value!r} twice", field="goals")
            seen.add(value)
    return {"sha256": hashlib.sha256(content).hexdigest(), "items": items}


def _fields(line: str, number: int, texts: Sequence[str], others: Sequence[str] = ()) -> dict[str, Any]:
    try:
        fields: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise BenchError(f"line {number}: expected one JSON object, got {error}", field=f"line {number}") from error
    expected = {*texts, *others}
    if not isinstance(fields, dict) or set(fields) != expected:
        got = sorted(fields) if isinstance(fields, dict) else type(fields).__name__
        raise BenchError(f"line {number}: expected the fields {sorted(expected)}, got {got}", field=f"line {number}")
    for name in texts:
        if not isinstance(fields[name], str) or not fields[name]:
            raise _fault(number, name, "a non-empty string", fields[name])
    return fields


def _parse_plan_item(line: str, number: int) -> BenchItem:
    return BenchItem(**_fields(line, number, _PLAN_FIELDS), intent="", pattern=None, path=None, pick=None)


def _parse_item(line: str, number: int) -> BenchItem:
    fields = _fields(line, number, _TEXT_FIELDS, _SLOT_FIELDS)
    if fields["intent"] not in INTENTS:
        raise _fault(number, "intent", f"one of {', '.join(INTENTS)}", fields["intent"])
    for name in ("pattern", "path"):
        if fields[name] is not None and (not isinstance(fields[name], str) or fields[name] not in fields["goal"]):
            raise _fault(number, name, "null or a span of the goal", fields[name])
    if fields["pick"] not in (None, *PICKS):
        raise _fault(number, "pick", "null, first or last", fields["pick"])
    return BenchItem(**fields)


def _fault(number: int, name: str, expected: str, got: object) -> BenchError:
    return BenchError(f"line {number}: expected {name} to be {expected}, got {got!r}", field=f"line {number}.{name}")
