"""Training the risk judge, deterministically, and measuring each family's head on wording it has not seen."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from builderbrain.gate.features import BaseFeatures, Example, features_of
from builderbrain.gate.judge_data import SPLITS, Split, identifier, judge_examples
from builderbrain.gate.judge_tools import motion, refund, transfer
from builderbrain.gate.labelled import split_of
from builderbrain.gate.logistic import area_under_curve, calibration_error
from builderbrain.gate.risk import PROBE_TEXTS, RiskHead, RiskJudge, fit_head
from builderbrain.gate.signals import FAMILIES, Family


def train_judge(
    base_features: BaseFeatures, *, base_name: str, seed: int = 0, examples: int = 1600, labelled: Sequence[Example] = ()
) -> RiskJudge:
    """Fit a judge for one base on generated labelled answers; its `report` says how good each family's head is.

    Args:
        examples: generated answers to fit a head on; a quarter as many calibrate, and a quarter as many measure.
        labelled: a user's own, dealt to the three splits by their prompts and added to the generated ones.
    """
    counts = {"train": examples, "calibration": examples // 4, "test": examples // 4}
    heads: dict[Family, RiskHead] = {}
    tests: dict[Family, list[Example]] = {}
    for family in FAMILIES:
        mine = [example for example in labelled if example.family == family]
        parts: dict[Split, list[Example]] = {
            split: judge_examples(split, counts[split], seed, family) + [row for row in mine if split_of(row) == split]
            for split in SPLITS
        }
        train, calibration = (features_of(parts[split], base_features) for split in ("train", "calibration"))
        labels, calibration_labels = (
            np.array([example.label for example in parts[split]]) for split in ("train", "calibration")
        )
        heads[family] = fit_head(train, labels, calibration, calibration_labels)
        tests[family] = parts["test"]
    judge = RiskJudge(
        heads=heads, probe=np.asarray(base_features(PROBE_TEXTS), dtype=np.float64), base_name=base_name, report={}
    )
    measured: dict[str, Any] = {family: measure(judge, tests[family], base_features) for family in FAMILIES}
    return dataclasses.replace(judge, report={**measured, "seed": seed, "examples": examples, "labelled": len(labelled)})


def measure(judge: RiskJudge, examples: list[Example], base_features: BaseFeatures) -> dict[str, float]:
    """Quality on answers of one family: AUROC, calibration error, and the largest fall of V_s as danger is added."""
    labels = np.array([example.label for example in examples])
    scores = judge.score(examples, base_features)
    return {
        "auroc": area_under_curve(scores, labels),
        "calibration_error": calibration_error(scores, labels),
        "largest_fall_under_injection": largest_fall(judge, examples[:40], base_features),
    }


def largest_fall(judge: RiskJudge, examples: list[Example], base_features: BaseFeatures, injections: int = 4) -> float:
    """max over answers of V_s before minus after one more danger of their family; never above 0 for a monotone judge."""
    generator = random.Random(0)
    previous = judge.score(examples, base_features)
    fall = 0.0
    for _ in range(injections):
        examples = [INJECTIONS[example.family](example, generator) for example in examples]
        scores = judge.score(examples, base_features)
        fall = max(fall, float((previous - scores).max()))
        previous = scores
    return fall


def inject_identifier(example: Example, generator: random.Random) -> Example:
    """The answer with one more identifier between two words of its response."""
    words = example.response.split()
    words.insert(generator.randrange(len(words) + 1), identifier(generator))
    return dataclasses.replace(example, response=" ".join(words))


def inject_money(example: Example, generator: random.Random) -> Example:
    """The answer with one more refund of an order, one more way back round a circle, or one more transfer below the limit."""
    orders = [effect for effect in example.effects if effect.kind == "refund"]
    transfers = [effect for effect in example.effects if effect.kind == "transfer"]
    if orders:
        again = generator.choice(orders)
        more = refund(again.names["order"], generator.uniform(1, 900), again.numbers["paid"])
    elif transfers and generator.random() < 0.5:
        there = generator.choice(transfers)
        more = transfer(there.names["target"], there.names["source"], generator.uniform(1, 20_000))
    else:
        more = transfer("rent", "savings", generator.uniform(8000, 9999))
    return dataclasses.replace(example, effects=(*example.effects, more))


def inject_motion(example: Example, generator: random.Random) -> Example:
    """The answer with one more motion, of any force and as close as it may be."""
    worse = motion(
        force_n=generator.uniform(0, 80), clearance_mm=generator.uniform(-10, 60), zone_mm=generator.uniform(-50, 120),
        stop_margin_ms=generator.uniform(0, 250), contact_n=generator.uniform(0, 5),
    )  # fmt: skip
    return dataclasses.replace(example, effects=(*example.effects, worse))


INJECTIONS: dict[Family, Callable[[Example, random.Random], Example]] = {
    "comms": inject_identifier,
    "finance": inject_money,
    "robot": inject_motion,
}


def retrain(
    folder: Path, base_features: BaseFeatures, *, base_name: str, seed: int = 0, labelled: Sequence[Example] = ()
) -> RiskJudge:
    """Train and save to a new folder.

    Raises:
        FileExistsError: `folder` exists; a judge is never changed, name another folder.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists; a judge is never changed, name another folder")
    return train_judge(base_features, base_name=base_name, seed=seed, labelled=labelled).save(folder)
