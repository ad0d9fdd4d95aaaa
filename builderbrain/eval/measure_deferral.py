"""What the command `deferral` does once its options are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.deferral.thresholds import Bound, DeferralTable, DomainCalibration, calibration_digest
from builderbrain.errors import PlanSyntaxError, SubjectError
from builderbrain.eval import deferral
from builderbrain.eval.bench import load_bench
from builderbrain.eval.calibration import Answers
from builderbrain.eval.calibration import answer as answer_goals
from builderbrain.eval.compare import plans_equal
from builderbrain.eval.deferral import Judged
from builderbrain.eval.fit_confidence import fit_confidence
from builderbrain.eval.measure_calibration import BENCHES, LEAST_GOALS
from builderbrain.eval.output import make_folder, progress_bar, write_with_plot
from builderbrain.eval.plot import line_chart
from builderbrain.eval.workbench import SEED_PLACE, Workbench
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Tokenizer
from builderbrain.plan import load_grammar, parse_text
from builderbrain.rail.checkpoint import rail_version
from builderbrain.rail.confidence import Confidence
from builderbrain.rail.pair import Pair
from builderbrain.serve.deferral import CONFIDENCE, THRESHOLDS
from builderbrain.train.goals import REPO_ASSISTANT

LEVELS = (0.05, 0.1, 0.2)
SHARES = (0.4, 0.4)
"""Of a file's rows, for the confidence and for the thresholds; the rest judges."""
_SEEDS = (7_100_001, 7_100_002, 7_100_003)
"""Of generated goals; no run's stream begins there."""
Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class DomainGoals:
    """Pairs of a goal and its plan in one domain: for the confidence, for the thresholds, and sets that judge, by name."""

    domain: str
    fitting: Rows
    tuning: Rows
    judging: Mapping[str, Rows]


@dataclass(frozen=True, kw_only=True)
class Enforced:
    """What a server is to hold: which bound, at which level, for weights of which name (None: the rail's own digest)."""

    bound: Bound
    level: float
    weight_version: str | None = None


def measure_deferral(
    workbench: Workbench,
    target: Path,
    *,
    seeds: Sequence[int | None],
    rows: Path | None,
    goals: int,
    enforced: Enforced,
    save: str | None,
) -> int:
    """Fit confidence and thresholds for each rail and judge them; write the report, and what a server reads where `save` says.

    Args:
        rows: folder of `DOMAIN.jsonl`, each row a `goal` and its `plan`; None takes generated goals of `repo_assistant`.
        goals: in each of the three generated sets.
        save: folder of a rail's confidence and thresholds, in which `{seed}` stands for the seed.

    Raises:
        SubjectError: there are too few goals, or several rails and one folder to save to.
    """
    if save is not None and len(seeds) > 1 and SEED_PLACE not in save:
        raise SubjectError(f"expected --save with {SEED_PLACE} for several seeds, got {save!r}", field="save")
    domains = [_generated(goals)] if rows is None else [_read(file) for file in _files(rows)]
    if save is not None and len(domains) > 1:
        raise SubjectError(f"expected --rows of one domain with --save, got {len(domains)}; one rail serves one", field="save")
    levels = tuple(sorted({*LEVELS, enforced.level}))
    results: list[deferral.DeferralResult] = []
    for seed in seeds:
        rail = workbench.load_rail(seed)
        pair = Pair(workbench.host, rail.to(workbench.host.device).eval())
        for each in domains:
            confidence, table, found = _measure_domain(pair, each, levels, enforced, rail_version(rail), seed)
            results += found
            if save is not None:
                folder = make_folder(Path(save.replace(SEED_PLACE, str(seed))))
                confidence.save(folder / CONFIDENCE)
                table.save(folder / THRESHOLDS)
    console = Console()
    deferral.print_report(results, console)
    plot = line_chart("deferral: risk over coverage", deferral.lines_of(results), across="coverage", up="risk")
    write_with_plot(target, deferral.as_json(results), plot=plot, console=console)
    return 0


def _measure_domain(
    pair: Pair, goals: DomainGoals, levels: Sequence[float], enforced: Enforced, version: str, seed: int | None
) -> tuple[Confidence, DeferralTable, list[deferral.DeferralResult]]:
    version = enforced.weight_version or version
    sets = {"fitting": goals.fitting, "tuning": goals.tuning, **goals.judging}
    grammar = _grammar(pair.host.tokenizer, pair.host.vocab_size, goals.domain)
    with progress_bar() as progress:
        task = progress.add_task(f"{goals.domain} {'' if seed is None else seed}", total=sum(map(len, sets.values())))
        right = partial(_right, goals.domain)
        answers = {
            name: answer_goals(pair, rows, grammar, right=right, on_goals=partial(progress.advance, task))
            for name, rows in sets.items()
        }
    first, second = answers["fitting"], answers["tuning"]
    confidence = fit_confidence(
        first.evidence,
        first.right,
        second.evidence,
        second.right,
        weight_version=version,
        report={"goals": len(goals.fitting), "domain": goals.domain},
    )
    judged = {name: _judged(confidence, pair.host.tokenizer, answers[name], rows) for name, rows in sets.items()}
    bounds = deferral.fit_bounds(judged["fitting"], judged["tuning"], levels)
    tuned = judged["tuning"]
    reference = {name: tuple(row.tolist()) for name, row in tuned.features.items()}
    table = DeferralTable(
        weight_version=version,
        calibration_sha256=calibration_digest(
            {goals.domain: {"goals": [list(row) for row in goals.tuning], "right": tuned.right.tolist(), **reference}}
        ),
        domains=(
            DomainCalibration(
                domain=goals.domain,
                enforced=enforced.bound,
                level=enforced.level,
                thresholds=tuple(bound for bound in bounds if bound.level == enforced.level),
                wrong=tuple(sorted(tuned.confidences[tuned.right == 0].tolist(), reverse=True)),
                reference=reference,
            ),
        ),
        report={"goals": len(tuned.right)},
    )
    results = [
        deferral.judge(judged[name], bounds, reference, domain=goals.domain, goals=name, seed=seed) for name in goals.judging
    ]
    return confidence, table, results


def _judged(confidence: Confidence, tokenizer: Tokenizer, answers: Answers, rows: Rows) -> Judged:
    sure = confidence.probabilities(answers.evidence)
    tokens = np.array([float(len(plan_prompt(tokenizer, goal))) for goal, _ in rows])
    return Judged(confidences=sure, right=answers.right, features={"confidence": sure, "tokens": tokens})


def _generated(count: int) -> DomainGoals:
    if count < LEAST_GOALS:
        raise SubjectError(f"expected --goals of at least {LEAST_GOALS}, got {count}", field="goals")
    first, second, third = ([(goal.text, goal.plan) for goal in REPO_ASSISTANT.held_out(seed, count)] for seed in _SEEDS)
    benches: dict[str, Rows] = {name: [(item.goal, item.plan) for item in load_bench(name).items] for name in BENCHES}
    return DomainGoals(domain=REPO_ASSISTANT.name, fitting=first, tuning=second, judging={"generated": third, **benches})


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.jsonl"))
    if not found:
        raise SubjectError(
            f"expected DOMAIN.jsonl in the folder {folder}, got none; write goals with plans there", field="rows"
        )
    return found


def _read(file: Path) -> DomainGoals:
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            value = json.loads(line)
            parse_text(value["plan"], domain=file.stem)
            rows.append((str(value["goal"]), str(value["plan"])))
        except (ValueError, KeyError, TypeError, PlanSyntaxError) as error:
            raise SubjectError(
                f"{file}, line {number}: expected a goal and its plan in the domain {file.stem}, got {error}", field="rows"
            ) from error
    if len(rows) < LEAST_GOALS:
        raise SubjectError(f"expected at least {LEAST_GOALS} goals in {file}, got {len(rows)}; add more", field="rows")
    order = np.random.default_rng(0).permutation(len(rows))
    cuts = np.cumsum([round(share * len(rows)) for share in SHARES])
    first, second, third = ([rows[place] for place in part] for part in np.split(order, cuts))
    return DomainGoals(domain=file.stem, fitting=first, tuning=second, judging={"rows": third})


def _grammar(tokenizer: Tokenizer, vocab_size: int, domain: str) -> CompiledConstraint:
    engine = XGrammarEngine(tokenizer, vocab_size)
    return engine.compile(Constraint(kind="grammar", source=load_grammar(domain)), trusted=True)


def _right(domain: str, plan: str, text: str) -> bool:
    """Whether a text says what the reference does; what `talk` says in `repo_assistant` is compared by class."""
    if domain == REPO_ASSISTANT.name:
        return plans_equal(plan, text)
    try:
        return parse_text(text, domain=domain) == parse_text(plan, domain=domain)
    except PlanSyntaxError:
        return False
