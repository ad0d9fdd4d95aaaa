"""How sure a plan is, as a probability that comes true as often as it says, and when it is better to ask than to act.

What the model thought of its own choices is the evidence; a fitted map turns it into a probability:

    z = w . (log evidence - mean) / scale + b
    p = isotonic(sigmoid(z))                     a step function, non-decreasing

and a plan is **deferred** at an error level e when p is under the threshold of that level. A threshold is fitted so that of
the plans that are not deferred at most a share e is wrong, with the certainty that the fit states (Angelopoulos et al. 2021,
"Learn then Test"); there may be none. Both hold for goals like those it was fitted on, and for the rail it was fitted for:
under a shift of the goals neither is promised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from builderbrain.errors import CheckpointError
from builderbrain.rail.greedy import GreedyText
from builderbrain.storage import canonical_json, write_atomic

FORMAT = "builderbrain-confidence-1"
EVIDENCE = (
    "surprise of the whole",
    "greatest surprise",
    "second greatest surprise",
    "mean surprise",
    "least margin",
    "second least margin",
)
"""Surprises are minus the natural log of a token's probability among the legal tokens; margins are in the same unit."""
_LARGEST, _SMALLEST = 50.0, 1e-4


def evidence_of(text: GreedyText) -> np.ndarray:
    """float64 [len(EVIDENCE)], natural logs of the evidence within 1e-4 and 50; an unfinished text is as bad as can be."""
    if not text.finished or not text.logprobs:
        return np.log(np.array([_LARGEST] * 4 + [_SMALLEST] * 2))
    surprises = sorted((-logprob for logprob in text.logprobs), reverse=True)
    margins = sorted(text.margins)
    total = sum(surprises)
    values = [
        total,
        surprises[0],
        surprises[1] if len(surprises) > 1 else 0.0,
        total / len(surprises),
        margins[0],
        margins[1] if len(margins) > 1 else _LARGEST,
    ]
    return np.log(np.clip(np.array(values), _SMALLEST, _LARGEST))


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Of an error level: plans less sure than `probability` are deferred; None where no threshold is known to hold the level.

    Counted on goals of the fit: `answered` of `total` were at or above it, `wrong` of them wrong.
    """

    level: float
    probability: float | None
    answered: int
    wrong: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """A fitted map for the rail of `weight_version`.

    `mean`, `scale` and `weights` follow `EVIDENCE`. `knots` are pairs (score in [0, 1], probability), both non-decreasing:
    from a knot's score on its probability holds. `certainty` is that of the thresholds, such as 0.95. `report`: what was
    measured.
    """

    weight_version: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    knots: tuple[tuple[float, float], ...]
    thresholds: tuple[Threshold, ...]
    certainty: float
    report: Mapping[str, Any]

    def scores(self, evidence: np.ndarray) -> np.ndarray:
        """Before the isotonic map: float64 [N] in [0, 1] of evidence [N, len(EVIDENCE)]."""
        scaled = (evidence - np.array(self.mean)) / np.array(self.scale)
        result: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * (scaled @ np.array(self.weights) + self.bias)))
        return result

    def probabilities(self, evidence: np.ndarray) -> np.ndarray:
        """P(the plan is right), float64 [N]."""
        scores, values = np.array(self.knots).T
        result: np.ndarray = values[np.clip(np.searchsorted(scores, self.scores(evidence), side="right") - 1, 0, None)]
        return result

    def defers(self, probability: float, level: float) -> bool:
        """Whether a plan of this probability is deferred when at most a share `level` of the answered may be wrong.

        Raises:
            CheckpointError: nothing was fitted for the level.
        """
        for threshold in self.thresholds:
            if threshold.level == level:
                return threshold.probability is None or not probability >= threshold.probability
        known = ", ".join(str(threshold.level) for threshold in self.thresholds)
        raise CheckpointError(f"expected an error level that was fitted, one of {known}, got {level}", field="level")

    def save(self, file: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomic(file, canonical_json({"format": FORMAT, "evidence": list(EVIDENCE), **asdict(self)}))

    @staticmethod
    def load(file: Path, *, weight_version: str) -> Confidence:
        """Read one.

        Raises:
            CheckpointError: it is missing or torn, or was fitted for another rail.
        """
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if value.pop("format") != FORMAT or value.pop("evidence") != list(EVIDENCE):
                raise ValueError("it is of another format")
            for name in ("mean", "scale", "weights"):
                value[name] = tuple(float(number) for number in value[name])
                if len(value[name]) != len(EVIDENCE):
                    raise ValueError(f"{name} has {len(value[name])} entries")
            value["knots"] = _knots(value["knots"])
            value["thresholds"] = tuple(Threshold(**threshold) for threshold in value["thresholds"])
            confidence = Confidence(**value)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"expected a fitted confidence in {file}, got: {error}; fit one with `python -m builderbrain.eval calibration "
                "--save FILE`",
                field="confidence",
            ) from error
        if confidence.weight_version != weight_version:
            raise CheckpointError(
                f"{file} was fitted for the rail {confidence.weight_version}, this one is {weight_version}; fit it anew",
                field="confidence",
            )
        return confidence


def _knots(value: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    knots = tuple((float(score), float(probability)) for score, probability in value)
    rising = all(a <= c and b <= d for (a, b), (c, d) in pairwise(knots))
    if not knots or not rising or not all(0 <= probability <= 1 for _, probability in knots):
        raise ValueError("its knots are no non-decreasing map to probabilities")
    return knots
