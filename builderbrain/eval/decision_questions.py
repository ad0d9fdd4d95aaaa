"""What the command `fit-decisions` does once its options are read: ask a served model each question, and fit what it says."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from builderbrain.deferral import DeferralTable
from builderbrain.errors import DataError, InvalidRequestError, SubjectError
from builderbrain.eval.decision_thresholds import decision_table
from builderbrain.eval.fit_decisions import Labelled, fit_map
from builderbrain.serve.decision_calibration import CalibrationMap, DecisionCalibration, Kind
from builderbrain.serve.decision_requests import LabelledQuestion
from builderbrain.serve.decisions import Asked, ask, prepare
from builderbrain.serve.fields import parse_request
from builderbrain.serve.service import Service


def read_questions(file: Path) -> list[LabelledQuestion]:
    """One question with its answer a line.

    Raises:
        DataError: the file cannot be read, or a line is no such question; names the line and the field.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error.strerror}; name a JSONL file of questions", field="questions"
        ) from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(parse_request(line, LabelledQuestion))
        except InvalidRequestError as error:
            raise DataError(f"{file} line {number}: {error.message}", field=error.field) from error
    if not found:
        raise DataError(f"expected questions in {file}, got an empty file", field="questions")
    return found


@dataclass(frozen=True, kw_only=True)
class FittedDecisions:
    """A calibration, and the questions of each of its maps, in their order, of which a domain's thresholds can be made."""

    calibration: DecisionCalibration
    questions: tuple[tuple[Labelled, ...], ...]
    seed: int

    def table(self, domain: str, level: float) -> DeferralTable:
        """The thresholds of a domain whose questions these are."""
        return decision_table(self.calibration, self.questions, domain=domain, level=level, seed=self.seed)


def fit_decisions(
    service: Service,
    questions: Sequence[LabelledQuestion],
    *,
    file: Path,
    levels: Sequence[float],
    seed: int,
    model: str | None,
) -> FittedDecisions:
    """Ask a model all questions and fit a map for each kind.

    Args:
        file: where the questions came from, for the record.
        model: a name that the service serves; its default for None.

    Raises:
        DataError: a kind has too few questions.
        SubjectError: another version went live meanwhile.
    """
    served = service.served(model)
    service.engine.start()
    try:
        asked = asyncio.run(_ask_all(service, served.name, questions))
    finally:
        service.engine.stop()
    versions = {one.scores.weight_version for one in asked}
    if versions != {served.version}:
        raise SubjectError(f"expected one version of the weights, got {', '.join(sorted(versions))}; fit again", field="model")
    by_kind: dict[tuple[Kind, bool], list[Labelled]] = defaultdict(list)
    for question, one in zip(questions, asked, strict=True):
        key = (question.question.type, bool(one.prepared.ends))
        by_kind[key].append(Labelled(probabilities=one.probabilities, right=question.right()))
    kinds = sorted(by_kind.items())
    calibration = DecisionCalibration(
        fingerprint=service.fingerprint(served.version),
        model=served.name,
        weight_version=served.version,
        fitted_on={
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "questions": len(questions),
            "seed": seed,
        },
        maps=tuple(fit_map(kind, ends=ends, questions=rows, levels=levels, seed=seed) for (kind, ends), rows in kinds),
    )
    return FittedDecisions(calibration=calibration, questions=tuple(tuple(rows) for _, rows in kinds), seed=seed)


async def _ask_all(service: Service, model: str, questions: Sequence[LabelledQuestion]) -> list[Asked]:
    prepared = [
        await prepare(service, row.input, row.question, field=f"question {number}") for number, row in enumerate(questions, 1)
    ]
    return await ask(service, model, prepared)


def print_fit(calibration: DecisionCalibration, console: Console) -> None:
    """One line for each kind and level, on the questions that nothing was fitted on."""
    table = Table(title=f"calibration {calibration.version} of {calibration.model} ({calibration.weight_version})")
    for heading in ("type", "judged on", "right", "ECE raw", "ECE", "level", "coverage", "decided", "wrong of them"):
        table.add_column(heading, justify="left" if heading == "type" else "right")
    for fitted in calibration.maps:
        for place, level in enumerate(fitted.report["levels"]):
            table.add_row(*(_summary(fitted) if place == 0 else ("",) * 5), *_level_cells(level))
    console.print(table)


def _summary(fitted: CalibrationMap) -> tuple[str, ...]:
    report = fitted.report
    name = f"{fitted.kind}{' with ends' if fitted.ends else ''}"
    return (name, str(report["questions"]), f"{report['accuracy']:.1%}", f"{report['ece_raw']:.3f}", f"{report['ece']:.3f}")


def _level_cells(level: dict[str, float]) -> tuple[str, ...]:
    return (f"{level['level']:g}", f"{level['coverage']:.1%}", f"{level['decided']:.0f}", f"{level['wrong']:.0f}")
