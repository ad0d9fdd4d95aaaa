"""The thresholds under which a domain's decisions are deferred, from the questions that the conformal ones are fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builderbrain.deferral.thresholds import ANSWERED_AND_WRONG, DeferralTable, DomainCalibration
from builderbrain.eval.deferral import Judged, fit_bounds
from builderbrain.eval.fit_decisions import Labelled, split_questions
from builderbrain.serve.decision_calibration import CalibrationMap, DecisionCalibration
from builderbrain.serve.deferral import DECISION_SUFFIX


@dataclass(frozen=True, kw_only=True)
class Sure:
    """How sure the answers to N questions are, calibrated, and whether they are right: both [N]."""

    confidences: np.ndarray
    right: np.ndarray


def how_sure(fitted: CalibrationMap, questions: Sequence[Labelled]) -> Sure:
    """Of some questions of one kind."""
    best = [int(np.argmax(question.probabilities)) for question in questions]
    calibrated = [fitted.calibrate(question.probabilities) for question in questions]
    return Sure(
        confidences=np.array([float(one[place]) for one, place in zip(calibrated, best, strict=True)]),
        right=np.array([float(place == question.right) for place, question in zip(best, questions, strict=True)]),
    )


def decision_table(
    calibration: DecisionCalibration, questions: Sequence[Sequence[Labelled]], *, domain: str, level: float, seed: int
) -> DeferralTable:
    """The table of a domain's decisions; risk control is enforced.

    Args:
        questions: those of each map of the calibration, in their order.
        seed: of the split that the maps were fitted with.
    """
    parts = [split_questions(some, seed) for some in questions]
    first, second = (
        _joined([how_sure(fitted, part[place]) for fitted, part in zip(calibration.maps, parts, strict=True)])
        for place in (0, 1)
    )
    name = domain + DECISION_SUFFIX
    return DeferralTable(
        weight_version=calibration.weight_version,
        calibration_sha256=str(calibration.fitted_on["sha256"]),
        domains=(
            DomainCalibration(
                domain=name,
                enforced=ANSWERED_AND_WRONG,
                level=level,
                thresholds=fit_bounds(first, second, (level,)),
                wrong=tuple(sorted(second.confidences[second.right == 0].tolist(), reverse=True)),
                reference={"confidence": tuple(second.confidences.tolist())},
            ),
        ),
        report={"calibration": calibration.version},
    )


def _joined(parts: Sequence[Sure]) -> Judged:
    sure = np.concatenate([part.confidences for part in parts])
    return Judged(confidences=sure, right=np.concatenate([part.right for part in parts]), features={"confidence": sure})
