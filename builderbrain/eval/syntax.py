"""The `syntax` suite: strict outputs of many schemas and of the plan grammar at a hot temperature; 0 may be invalid.

An output ends in one of four ways. `valid`: finished, and judged valid. `length`: cut off, and says so. `refused`: every
attempt was finished but invalid, or ran into a dead end, so the caller got an error and no text. `invalid`: handed out as
finished although it is not valid, or cut off without saying so. Only the last is a failure, but the others are reported, since
a suite that refuses everything would pass as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.model import TokenModel
from builderbrain.errors import ConstraintViolatedError, MaskEmptyError
from builderbrain.eval.schema_corpus import schema_corpus
from builderbrain.grammar.base import CompiledConstraint, Constraint, MaskEngine

MAX_TOKENS = 400
_PLAN_SHARE = 8
"""Every how manieth output is a plan."""

Validate = Callable[[str], str | None]


@dataclass(frozen=True, kw_only=True)
class SyntaxRow:
    """Counts of outputs under one constraint; `example` is an invalid output with the reason, if there is one."""

    name: str
    engine: str
    exact: bool
    declared: tuple[str, ...]
    valid: int
    length: int
    refused: int
    invalid: int
    retries: int
    example: str | None


@dataclass(frozen=True, kw_only=True)
class SyntaxReport:
    """Sums over the rows. The suite passes with `invalid` 0."""

    temperature: float
    generations: int
    schemas: int
    valid: int
    length: int
    refused: int
    invalid: int
    retries: int
    rows: tuple[SyntaxRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for a report."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Subject:
    name: str
    prompt: str
    compiled: CompiledConstraint
    validate: Validate


def run(
    model: TokenModel,
    engine: MaskEngine,
    generations: int,
    temperature: float = 1.5,
    *,
    plan_grammar: str,
    plan_validate: Validate | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> SyntaxReport:
    """Decode `generations` outputs, spread evenly over the corpus, every eighth a plan.

    Args:
        plan_grammar: EBNF of the plan text, trusted.
        plan_validate: the domain's own parser and checker of plan texts: None when valid, else the reason. Without it, a
            plan is checked against the grammar alone.
        progress: called with the number of outputs done.
    """
    plan = engine.compile(Constraint(kind="grammar", source=plan_grammar), trusted=True)
    subjects = [
        _Subject(name=named.name, prompt=f"{named.source}\nJSON:\n", compiled=compiled, validate=compiled.validate)
        for named in schema_corpus()
        for compiled in [engine.compile(Constraint(kind="json_schema", source=named.source))]
    ]
    plans = _Subject(
        name="plan",
        prompt="Goal: search for the promotion gate and then open it\nPlan:\n",
        compiled=plan,
        validate=plan_validate or plan.validate,
    )
    counts: dict[str, Counter[str]] = {subject.name: Counter() for subject in [*subjects, plans]}
    examples: dict[str, str] = {}
    for index, subject in enumerate(islice(_schedule(subjects, plans), generations)):
        outcome, retries, example = _decode_one(model, subject, temperature, seed + index)
        counts[subject.name].update({outcome: 1, "retries": retries})
        if example is not None:
            examples.setdefault(subject.name, example)
        if progress is not None:
            progress(index + 1)
    rows = tuple(_row(subject, counts[subject.name], examples.get(subject.name)) for subject in [*subjects, plans])
    total = sum(counts.values(), Counter())
    return SyntaxReport(
        temperature=temperature,
        generations=generations,
        schemas=len(subjects),
        valid=total["valid"],
        length=total["length"],
        refused=total["refused"],
        invalid=total["invalid"],
        retries=total["retries"],
        rows=rows,
    )


def _schedule(subjects: list[_Subject], plans: _Subject) -> Iterator[_Subject]:
    for index, subject in enumerate(cycle(subjects), start=1):
        yield subject
        if index % (_PLAN_SHARE - 1) == 0:
            yield plans


def _decode_one(model: TokenModel, subject: _Subject, temperature: float, seed: int) -> tuple[str, int, str | None]:
    """Outcome, further attempts, and the faulty text if there is one."""
    prompt = model.tokenizer.encode(subject.prompt)[-(model.max_length // 2) :]
    room = min(MAX_TOKENS, model.max_length - len(prompt))
    parameters = SamplingParameters(max_tokens=room, temperature=temperature, seed=seed)
    try:
        generation = generate(model, prompt, parameters, subject.compiled)
    except (ConstraintViolatedError, MaskEmptyError):
        return "refused", 0, None
    return _judge(generation, subject.validate, room)


def _judge(generation: Generation, validate: Validate, room: int) -> tuple[str, int, str | None]:
    """Compare what the generation says of itself with the text, by a validator called anew."""
    retries = generation.attempts - 1
    verdict = None if generation.constraint is None else generation.constraint.valid
    if generation.finish_reason == "length":
        honest = verdict is None and len(generation.tokens) == room
        return ("length", retries, None) if honest else ("invalid", retries, f"cut off, called {verdict}: {generation.text!r}")
    reason = validate(generation.text)
    if verdict is True and reason is None:
        return "valid", retries, None
    return "invalid", retries, f"called {verdict}, {reason}: {generation.text!r}"


def _row(subject: _Subject, counts: Counter[str], example: str | None) -> SyntaxRow:
    return SyntaxRow(
        name=subject.name,
        engine=subject.compiled.engine,
        exact=subject.compiled.exact,
        declared=subject.compiled.declared,
        valid=counts["valid"],
        length=counts["length"],
        refused=counts["refused"],
        invalid=counts["invalid"],
        retries=counts["retries"],
        example=example,
    )
