"""A fitted confidence: evidence, probabilities, deferral, and the file it lives in."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from builderbrain.errors import CheckpointError
from builderbrain.rail.confidence import EVIDENCE, Confidence, Threshold, evidence_of
from builderbrain.rail.greedy import GreedyText


def text(*logprobs: float, margins: tuple[float, ...] = (), finished: bool = True) -> GreedyText:
    tokens = tuple(range(len(logprobs) - 1))
    return GreedyText(tokens=tokens, finished=finished, logprobs=logprobs, margins=margins or (1.0,) * len(logprobs))


def confidence(**changes: object) -> Confidence:
    values: dict[str, object] = {
        "weight_version": "a1",
        "mean": (0.0,) * len(EVIDENCE),
        "scale": (1.0,) * len(EVIDENCE),
        "weights": (-1.0, *(0.0,) * (len(EVIDENCE) - 1)),
        "bias": 0.0,
        "knots": ((0.0, 0.1), (0.5, 0.6), (0.9, 1.0)),
        "thresholds": (
            Threshold(level=0.1, probability=0.6, answered=50, wrong=1, total=100),
            Threshold(level=0.01, probability=None, answered=0, wrong=0, total=100),
        ),
        "certainty": 0.95,
        "report": {"goals": 100},
    }
    return Confidence(**(values | changes))  # type: ignore[arg-type]


def test_evidence_is_of_the_whole_text_and_of_its_weakest_tokens() -> None:
    found = np.exp(evidence_of(text(-0.5, -0.1, -0.4, margins=(2.0, 9.0, 3.0))))
    assert found == pytest.approx([1.0, 0.5, 0.4, 1.0 / 3.0, 2.0, 3.0])


def test_evidence_is_finite_for_what_is_certain_cut_off_or_a_single_token() -> None:
    for one in (text(0.0, 0.0, margins=(math.inf, math.inf)), text(-1.0), text(-math.inf), text(finished=False)):
        assert np.isfinite(evidence_of(one)).all()
    assert evidence_of(text(-0.1, finished=False))[0] == evidence_of(text(finished=False))[0] == pytest.approx(math.log(50))


def test_probabilities_step_up_at_the_knots_and_hold_from_there() -> None:
    evidence = np.zeros((4, len(EVIDENCE)))
    evidence[:, 0] = [10.0, 1.0, 0.0, -10.0]  # scores 0, 0.27, 0.5, 1
    assert confidence().probabilities(evidence) == pytest.approx([0.1, 0.1, 0.6, 1.0])


def test_plans_under_the_threshold_are_deferred_and_all_of_them_where_there_is_none() -> None:
    fitted = confidence()
    assert [fitted.defers(p, 0.1) for p in (0.59, 0.6, 0.9, math.nan)] == [True, False, False, True]
    assert fitted.defers(1.0, 0.01)
    with pytest.raises(CheckpointError, match=r"one of 0\.1, 0\.01, got 0\.5"):
        fitted.defers(1.0, 0.5)


def test_what_was_saved_comes_back_and_belongs_to_one_rail(tmp_path: Path) -> None:
    file = tmp_path / "confidence.json"
    confidence().save(file)
    assert Confidence.load(file, weight_version="a1") == confidence()
    with pytest.raises(CheckpointError, match="fitted for the rail a1, this one is b2"):
        Confidence.load(file, weight_version="b2")


@pytest.mark.parametrize(
    "change",
    [
        {"format": "other"},
        {"evidence": ["surprise"]},
        {"weights": [1.0]},
        {"knots": [[0.5, 0.6], [0.4, 0.7]]},
        {"knots": [[0.0, 1.5]]},
        {"knots": []},
        {"thresholds": [{"level": 0.1}]},
    ],
)
def test_a_file_that_is_none_is_refused(change: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "confidence.json"
    confidence().save(file)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(CheckpointError, match="calibration --save"):
        Confidence.load(file, weight_version="a1")
    file.write_text(file.read_text()[:40])
    with pytest.raises(CheckpointError, match="calibration --save"):
        Confidence.load(file, weight_version="a1")
    with pytest.raises(CheckpointError, match="calibration --save"):
        Confidence.load(tmp_path / "missing.json", weight_version="a1")
