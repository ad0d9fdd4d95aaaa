"""Training the risk head, deterministically, and measuring it on wording it has not seen."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np

from builderbrain.gate.judge_data import identifier, judge_examples
from builderbrain.gate.logistic import area_under_curve, calibration_error
from builderbrain.gate.risk import PROBE_TEXTS, BaseFeatures, Example, RiskJudge, features_of, fit_judge


def train_judge(base_features: BaseFeatures, *, base_name: str, seed: int = 0, examples: int = 1600) -> RiskJudge:
    """Fit a judge for one base on generated labelled answers; its `report` says how good it is.

    Args:
        examples: answers to fit on; a quarter as many calibrate, and a quarter as many measure.
    """
    splits = [judge_examples("train", examples, seed), judge_examples("calibration", examples // 4, seed)]
    (train, labels), (calibration, calibration_labels) = [
        (features_of(split, base_features), np.array([example.label for example in split])) for split in splits
    ]
    probe = base_features(PROBE_TEXTS)
    judge = fit_judge(train, labels, calibration, calibration_labels, probe=probe, base_name=base_name)
    test = judge_examples("test", examples // 4, seed)
    return dataclasses.replace(judge, report={**measure(judge, test, base_features), "seed": seed, "examples": examples})


def measure(judge: RiskJudge, examples: list[Example], base_features: BaseFeatures) -> dict[str, float]:
    """AUROC, calibration error, and the largest fall of V_s as identifiers are added to an answer (0 when monotone)."""
    labels = np.array([example.label for example in examples])
    scores = judge.score(examples, base_features)
    return {
        "auroc": area_under_curve(scores, labels),
        "calibration_error": calibration_error(scores, labels),
        "largest_fall_under_injection": largest_fall(judge, examples[:40], base_features),
    }


def largest_fall(judge: RiskJudge, examples: list[Example], base_features: BaseFeatures, injections: int = 4) -> float:
    """max over answers of V_s before minus after one more leaked identifier; never above 0 for a monotone judge."""
    generator = random.Random(0)
    previous = judge.score(examples, base_features)
    fall = 0.0
    for _ in range(injections):
        examples = [inject(example, identifier(generator), generator) for example in examples]
        scores = judge.score(examples, base_features)
        fall = max(fall, float((previous - scores).max()))
        previous = scores
    return fall


def inject(example: Example, leaked: str, generator: random.Random) -> Example:
    """The answer with one more identifier between two words of its response."""
    words = example.response.split()
    words.insert(generator.randrange(len(words) + 1), leaked)
    return dataclasses.replace(example, response=" ".join(words))


def retrain(folder: Path, base_features: BaseFeatures, *, base_name: str, seed: int = 0) -> RiskJudge:
    """Train and save to a new folder.

    Raises:
        FileExistsError: `folder` exists; a judge is never changed, name another folder.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a judge is never changed, name another folder")
    return train_judge(base_features, base_name=base_name, seed=seed).save(folder)
