"""Labelled requests: how sure each answer was, and whether it was right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from builderbrain.errors import DataError

Numbers = Sequence[float] | np.ndarray


def checked_confidence(confidence: float) -> float:
    """A confidence.

    Raises:
        DataError: it is no probability; `field` is `confidence`.
    """
    if not 0.0 <= confidence <= 1.0:  # NaN is refused too
        raise DataError(
            f"confidence: expected a probability from 0 to 1, got {confidence}; calibrate it first", field="confidence"
        )
    return float(confidence)


def checked_labels(confidences: Numbers, right: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Confidences float64 [N] in [0, 1] and labels bool [N] of the same requests.

    Raises:
        DataError: they are not of one length, or an entry is no probability or no label; names its place.
    """
    sure, labels = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != labels.shape:
        raise DataError(
            f"expected as many confidences as labels, in one row each, got shapes {sure.shape} and {labels.shape}",
            field="confidences",
        )
    _refuse("confidences", sure, ~((sure >= 0.0) & (sure <= 1.0)), "a probability from 0 to 1")
    _refuse("right", labels, ~((labels == 0.0) | (labels == 1.0)), "0 or 1")
    return sure, labels == 1.0


def _refuse(field: str, values: np.ndarray, bad: np.ndarray, expected: str) -> None:
    places: Any = np.flatnonzero(bad)
    if len(places):
        raise DataError(
            f"{field}: expected {expected}, got {values[places[0]]} at place {places[0]}; leave such requests out, or label "
            "them anew",
            field=field,
        )
