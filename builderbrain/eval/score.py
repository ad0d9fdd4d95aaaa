"""Scoring: one subject on one bench, item by item.

plan-bench, held-out and wordings ask for the plan alone; brain-bench asks for the guess, and an item is right only when intent,
first action and all three slots are. Every mark is kept, so that a report can say *what* was wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import fmean

from builderbrain.eval.bench import Bench, BenchItem
from builderbrain.eval.compare import guess_of_plan, is_accepted, plans_equal
from builderbrain.eval.subject import PlanSubject

GUESS_FIELDS = ("intent", "first_action", "pattern", "path", "pick")


@dataclass(frozen=True, kw_only=True)
class ItemResult:
    """What a subject made of one goal. `marks` says per field whether it was right; `right` is the item's verdict."""

    id: str
    kind: str
    goal: str
    expected: dict[str, str | None]
    got: dict[str, str | None]
    marks: dict[str, bool]
    right: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class SuiteRun:
    """One subject under one seed on one bench; `seed` is None for a subject that has none."""

    suite: str
    subject: str
    seed: int | None
    results: tuple[ItemResult, ...]

    @property
    def score(self) -> float:
        """Share of right items."""
        return fmean(result.right for result in self.results)

    def mark_rate(self, mark: str) -> float:
        """Share of items whose field `mark` is right."""
        return fmean(result.marks[mark] for result in self.results)

    def kind_rates(self) -> dict[str, float]:
        """Share of right items per kind of goal."""
        kinds = dict.fromkeys(result.kind for result in self.results)
        return {kind: fmean(result.right for result in self.results if result.kind == kind) for kind in kinds}


def run_suite(
    bench: Bench, subject: PlanSubject, *, seed: int | None = None, on_item: Callable[[], None] | None = None
) -> SuiteRun:
    """Ask `subject` about every goal of `bench` and mark the answers.

    Args:
        bench: `brain-bench` is marked by the guess, every other one by the plan.
        subject: what is evaluated.
        seed: the seed that made the subject, for the report.
        on_item: called after every goal, to move a progress bar.
    """
    results = []
    for item in bench.items:
        guessed = bench.name == "brain-bench"
        results.append(_score_guess(item, subject) if guessed else _score_plan(item, subject, bench))
        if on_item is not None:
            on_item()
    return SuiteRun(suite=bench.name, subject=subject.name, seed=seed, results=tuple(results))


def _score_plan(item: BenchItem, subject: PlanSubject, bench: Bench) -> ItemResult:
    started = time.perf_counter()
    plan = subject.plan(item.goal)
    seconds = time.perf_counter() - started
    right = plans_equal(item.plan, plan, bench.domain, bench.version)
    return ItemResult(
        id=item.id,
        kind=item.kind,
        goal=item.goal,
        expected={"plan": item.plan},
        got={"plan": plan},
        marks={"plan": right, "accepted": is_accepted(plan, bench.domain, bench.version)},
        right=right,
        seconds=seconds,
    )


def _score_guess(item: BenchItem, subject: PlanSubject) -> ItemResult:
    started = time.perf_counter()
    got = asdict(subject.intent(item.goal))
    seconds = time.perf_counter() - started
    expected = {
        "intent": item.intent,
        "first_action": guess_of_plan(item.plan).first_action,
        "pattern": item.pattern,
        "path": item.path,
        "pick": item.pick,
    }
    marks = {name: expected[name] == got[name] for name in GUESS_FIELDS}
    return ItemResult(
        id=item.id,
        kind=item.kind,
        goal=item.goal,
        expected=expected,
        got=got,
        marks=marks,
        right=all(marks.values()),
        seconds=seconds,
    )
