"""From a model's own probabilities of some answers to ones that come true as often as they say, and to abstaining.

    r_k = p_k^(1/T) / sum_j p_j^(1/T)              one temperature for all
    q_k = g(r_k) / sum_j g(r_j)                    g an isotonic step function, fitted one answer against the rest
    S   = {k : 1 - q_k <= t}                       split conformal (Vovk et al. 2005; Sadinle et al. 2019)

(Zadrozny and Elkan 2002; with a temperature before it Zhang et al. 2020, "Mix-n-Match".) t is the ceil((n + 1)(1 - level))-th
smallest 1 - q of the right answer among n questions that T and g were not fitted on. Then S holds the right answer with
probability of at least 1 - level for questions like those; under a shift of the questions that is not promised. Where S is not
one answer alone, the server abstains.

A file belongs to one base, its numerics and one version of the weights (`system_fingerprint`), and has a map for each kind
of question that it was fitted on. Its version is the digest of its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from builderbrain.errors import CheckpointError, InvalidRequestError
from builderbrain.storage import canonical_json, write_atomic

FORMAT = "builderbrain-decisions-1"
Kind = Literal["predicate", "choice", "score"]
_SMALLEST = 1e-300


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Float64 [..., K]: probabilities [..., K] to the power 1/T, normalised; above 1 they come closer to each other."""
    logs = np.log(np.maximum(probabilities, _SMALLEST)) / temperature
    weights = np.exp(logs - logs.max(axis=-1, keepdims=True))
    result: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return result


@dataclass(frozen=True, kw_only=True)
class ConformalThreshold:
    """Of an error level: answers of nonconformity up to `score` may be right. None: too few questions to exclude any."""

    level: float
    score: float | None
    questions: int

    def conforming(self, calibrated: np.ndarray) -> np.ndarray:
        """The places of the answers that may be right, of calibrated probabilities [K]."""
        return np.flatnonzero(1.0 - calibrated <= (np.inf if self.score is None else self.score))


@dataclass(frozen=True, kw_only=True)
class CalibrationMap:
    """For one kind of question.

    `ends`: whether answers were scored with their end, see `label_scores`. `knots` are pairs (tempered, calibrated), both
    non-decreasing: from a knot's probability on its value holds. Values are kept `floor` away from 0 and 1.
    """

    kind: Kind
    ends: bool
    temperature: float
    knots: tuple[tuple[float, float], ...]
    floor: float
    thresholds: tuple[ConformalThreshold, ...]
    report: Mapping[str, Any]

    def calibrate(self, probabilities: np.ndarray) -> np.ndarray:
        """Float64 [K] of probabilities [K] that add up to 1. The order of answers is kept, but for ties."""
        scores, values = np.array(self.knots).T
        tempered = temper(probabilities, self.temperature)
        mapped = values[np.clip(np.searchsorted(scores, tempered, side="right") - 1, 0, None)]
        mapped = np.clip(mapped, self.floor, 1.0 - self.floor)
        result: np.ndarray = mapped / mapped.sum()
        return result

    def threshold(self, level: float | None) -> ConformalThreshold:
        """That of an error level; the strictest that was fitted for None.

        Raises:
            InvalidRequestError: nothing was fitted for the level.
        """
        known = {threshold.level: threshold for threshold in self.thresholds}
        chosen = min(known) if level is None else level
        if chosen not in known:
            levels = ", ".join(map(str, sorted(known)))
            raise InvalidRequestError(
                f"level: expected an error level that was fitted, one of {levels}, got {chosen}", field="level"
            )
        return known[chosen]


@dataclass(frozen=True, kw_only=True)
class DecisionCalibration:
    """The maps of one model. `fitted_on` says from what: file, digest, number of questions."""

    fingerprint: str
    model: str
    weight_version: str
    fitted_on: Mapping[str, Any]
    maps: tuple[CalibrationMap, ...]

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the sha256 of the content."""
        return hashlib.sha256(canonical_json(asdict(self))).hexdigest()[:12]

    def find(self, kind: Kind, *, ends: bool) -> CalibrationMap | None:
        """The map for a kind of question, if it was fitted."""
        return next((found for found in self.maps if found.kind == kind and found.ends == ends), None)

    def save(self, file: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomic(file, canonical_json({"format": FORMAT, "version": self.version, **asdict(self)}))

    @staticmethod
    def load(file: Path) -> DecisionCalibration:
        """Read one.

        Raises:
            CheckpointError: it is missing, torn, or was changed after it was fitted.
        """
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if value.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            version = value.pop("version")
            value["maps"] = tuple(_map(found) for found in value["maps"])
            calibration = DecisionCalibration(**value)
            if calibration.version != version:
                raise ValueError("its content does not have the digest that it names")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"expected a fitted decision calibration in {file}, got: {error}; fit one with `python -m builderbrain.eval "
                "fit-decisions QUESTIONS --save FILE`",
                field="decision_calibration",
            ) from error
        return calibration


class Calibrations:
    """What was fitted for the models that are served, by fingerprint."""

    def __init__(self, calibrations: Sequence[DecisionCalibration] = ()) -> None:
        self._by_fingerprint = {calibration.fingerprint: calibration for calibration in calibrations}

    def find(self, fingerprint: str) -> DecisionCalibration | None:
        """That of a model."""
        return self._by_fingerprint.get(fingerprint)

    @staticmethod
    def load(path: Path) -> Calibrations:
        """A file, or the JSON files of a folder.

        Raises:
            CheckpointError: there is none, one cannot be read, or two are for the same model.
        """
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        found = [DecisionCalibration.load(file) for file in files]
        if not found or len({calibration.fingerprint for calibration in found}) < len(found):
            what = "two for the same model" if found else "none"
            raise CheckpointError(
                f"expected one calibration for each model in {path}, got {what}", field="decision_calibration"
            )
        return Calibrations(found)


def _map(value: dict[str, Any]) -> CalibrationMap:
    knots = tuple((float(score), float(probability)) for score, probability in value.pop("knots"))
    rising = all(a <= c and b <= d for (a, b), (c, d) in pairwise(knots))
    if not knots or not rising or not all(0 <= probability <= 1 for _, probability in knots):
        raise ValueError("its knots are no non-decreasing map to probabilities")
    thresholds = tuple(ConformalThreshold(**threshold) for threshold in value.pop("thresholds"))
    result = CalibrationMap(knots=knots, thresholds=thresholds, **value)
    if result.kind not in get_args(Kind) or not 0 < result.floor < 0.5 or not result.temperature > 0 or not thresholds:
        raise ValueError("a map is of no known kind, has no thresholds, or a floor or temperature that is none")
    return result
