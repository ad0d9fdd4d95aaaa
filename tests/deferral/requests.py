"""Labelled requests as the tests draw them, and tables made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from builderbrain.deferral.risk_control import control_risk
from builderbrain.deferral.thresholds import (
    ANSWERED_AND_WRONG,
    WRONG_GIVEN_ANSWERED,
    DeferralTable,
    DomainCalibration,
    FittedThreshold,
)


def drawn(rng: np.random.Generator, count: int, *, ties: bool = False, worse: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences [N] and labels [N]; overconfident: the chance to be right is below what the confidence says."""
    confidence = rng.beta(4, 1.5, count) * (1.0 - worse)
    if ties:
        confidence = np.round(confidence, 1)
    return confidence, (rng.random(count) < confidence**1.3).astype(float)


def table_of(confidences: np.ndarray, right: np.ndarray, *, domain: str = "api_json", level: float = 0.1, **more: Any):  # type: ignore[no-untyped-def]
    """A table of one domain that enforces risk control, for the weights `v1`."""
    other = FittedThreshold(
        bound=WRONG_GIVEN_ANSWERED, level=level, certainty=0.95, least=None, reason="not tried", requests=0, answered=0, wrong=0
    )
    fitted = DomainCalibration(
        domain=domain,
        enforced=ANSWERED_AND_WRONG,
        level=level,
        thresholds=(control_risk(confidences, right, level=level), other),
        wrong=tuple(sorted(confidences[right == 0].tolist(), reverse=True)),
        reference={"confidence": tuple(confidences.tolist())},
    )
    return DeferralTable(weight_version="v1", calibration_sha256="0" * 64, domains=(fitted,), **more)
