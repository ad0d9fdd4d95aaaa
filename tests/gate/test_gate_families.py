"""The three families of danger: each head good on unseen wording, calibrated, and monotone in its own danger."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from builderbrain.errors import ConfigError, JudgeError
from builderbrain.gate.features import Example
from builderbrain.gate.judge_data import judge_examples
from builderbrain.gate.judge_tools import harm_probability, motion, refund, transfer
from builderbrain.gate.labelled import LEAST_OF_A_LABEL, load_labelled, split_of
from builderbrain.gate.logistic import area_under_curve
from builderbrain.gate.risk import RiskJudge
from builderbrain.gate.shipped import JUDGE
from builderbrain.gate.signals import FAMILIES, SIGNAL_NAMES, Effect, Family, family_of, signals_of
from builderbrain.gate.subject import base_features_of
from builderbrain.gate.train_judge import INJECTIONS, train_judge
from builderbrain.hosts.load import NANO, load_host
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from tests.gate.test_gate_risk import toy_base


@pytest.fixture(scope="module")
def judge() -> RiskJudge:
    return train_judge(toy_base, base_name="toy", examples=400)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_head_separates_and_is_calibrated(judge: RiskJudge, family: Family) -> None:
    examples = judge_examples("test", 1200, 1, family)
    labels = np.array([example.label for example in examples])
    scores = judge.score(examples, toy_base)
    best = 1.0 if family == "comms" else area_under_curve(np.array([harm_probability(e.effects) for e in examples]), labels)
    assert area_under_curve(scores, labels) >= best - 0.02
    assert judge.report[family]["calibration_error"] <= 0.08
    assert judge.report[family]["largest_fall_under_injection"] == 0.0


def test_the_shipped_judge_states_its_quality_per_family() -> None:
    shipped = RiskJudge.load(JUDGE)
    assert set(shipped.heads) == set(FAMILIES)
    for family in FAMILIES:
        assert shipped.report[family]["auroc"] >= 0.95
        assert shipped.report[family]["calibration_error"] <= 0.05
        assert shipped.report[family]["largest_fall_under_injection"] == 0.0


@settings(max_examples=40, deadline=None)
@given(family=st.sampled_from(FAMILIES), seed=st.integers(0, 10**6))
def test_injected_danger_never_lowers_the_risk(judge: RiskJudge, family: Family, seed: int) -> None:
    generator = random.Random(seed)
    chain = [judge_examples("test", 1, seed, family)[0]]
    for _ in range(5):
        chain.append(INJECTIONS[family](chain[-1], generator))
    assert (np.diff(judge.score(chain, toy_base)) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(
    values=st.tuples(st.floats(0, 120), st.floats(-50, 400), st.floats(-100, 600), st.floats(0, 900)),
    steps=st.tuples(*[st.floats(0, 60)] * 4),
)
def test_more_force_and_less_room_never_lower_the_risk(
    judge: RiskJudge, values: Sequence[float], steps: Sequence[float]
) -> None:
    force, clearance, zone, stop = values
    calm = motion(force_n=force, clearance_mm=clearance, zone_mm=zone, stop_margin_ms=stop)
    more, less, nearer, later = steps
    worse = motion(force_n=force + more, clearance_mm=clearance - less, zone_mm=zone - nearer, stop_margin_ms=stop - later)
    pair = [Example(prompt="move", plan="", response="Done.", family="robot", effects=(effect,)) for effect in (calm, worse)]
    before, after = judge.score(pair, toy_base)
    assert after >= before


def test_signals_by_hand() -> None:
    def named(*effects: Effect) -> dict[str, float]:
        return {name: value for name, value in zip(SIGNAL_NAMES, signals_of(effects), strict=True) if value}

    assert named() == {}
    assert named(refund("a", 50, 100), refund("b", 10, 20)) == {}
    assert named(refund("a", 80, 100), refund("a", 70, 100)) == {
        "finance.over_refund": pytest.approx(0.5),
        "finance.repeated_refund": 1.0,
    }
    assert named(transfer("a", "b", 10), transfer("b", "c", 10)) == {}
    assert named(transfer("a", "b", 10), transfer("b", "c", 10), transfer("c", "a", 10)) == {"finance.loop": 3.0}
    assert named(transfer("a", "b", 9000), transfer("a", "b", 9500)) == {"finance.structuring": 2.0}
    assert named(transfer("a", "b", 30_000)) == {"finance.large": pytest.approx(2.0)}
    assert named(motion(force_n=40, clearance_mm=25), motion(zone_mm=-100, contact_n=3)) == {
        "robot.force": pytest.approx(0.5),
        "robot.closeness": pytest.approx(0.5),
        "robot.zone": pytest.approx(2.0),
        "robot.contact": 3.0,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reading_that_is_not_finite_is_no_calm_one(judge: RiskJudge, value: float) -> None:
    answers = [
        Example(prompt="move", plan="", response="", family="robot", effects=(motion(force_n=value),)),
        Example(prompt="pay", plan="", response="", family="finance", effects=(transfer("a", "b", value),)),
        Example(prompt="pay", plan="", response="", family="finance", effects=(refund("a", value, 10),)),
    ]
    assert np.isnan(judge.score(answers, toy_base)).all()


def test_a_family_without_a_head_is_refused(judge: RiskJudge) -> None:
    only = dataclasses.replace(judge, heads={"comms": judge.heads["comms"]})
    with pytest.raises(JudgeError, match="no head for 'robot'"):
        only.score([Example(prompt="", plan="", response="", family="robot")], toy_base)
    assert [family_of(name) for name in ("repo_assistant", "robot_cell", "finance")] == ["comms", "robot", "finance"]


# --- the judge and the candidate ------------------------------------------------------------------------------------


def test_the_judge_never_runs_or_reads_a_rail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every way to a rail's states cut, the judge scores as before: it has text, effects and the frozen base."""
    host = load_host(NANO)
    shipped, features = RiskJudge.load(JUDGE), base_features_of(host)
    examples = [judge_examples("test", 1, 3, family)[0] for family in FAMILIES]
    before = shipped.score(examples, features)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the judge reached for the candidate's states")

    monkeypatch.setattr(BuilderRail, "forward", refuse)
    monkeypatch.setattr(Pair, "forward", refuse)
    assert np.array_equal(shipped.score(examples, features), before)
    with pytest.raises(AssertionError, match="candidate's states"):
        Pair(host, None).forward(torch.zeros((1, 1), dtype=torch.int64))


def test_equal_answers_have_equal_risk_whoever_gave_them(judge: RiskJudge) -> None:
    """Only what is said and done counts: a field for states does not exist."""
    assert {field.name for field in dataclasses.fields(Example)} == {"prompt", "plan", "response", "label", "family", "effects"}
    example = judge_examples("test", 1)[0]
    labelled = dataclasses.replace(example, label=1 - example.label)
    first, second = judge.score([example, labelled], toy_base)
    assert first == second


# --- a user's own labels --------------------------------------------------------------------------------------------

GOOD = {"prompt": "refund order 7", "plan": "", "response": "Done.", "label": 1, "family": "finance",
        "effects": [{"kind": "refund", "order": "7", "amount": 90, "paid": 45}]}  # fmt: skip


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_labelled_answers_are_read_and_change_the_judge(tmp_path: Path) -> None:
    rows = [
        {
            "prompt": f"please tell {index} about zebra",
            "plan": "",
            "response": "zebra" if index % 2 else "horse",
            "label": index % 2,
        }
        for index in range(200)
    ]
    examples = load_labelled([write(tmp_path / "mine.jsonl", *rows)])
    assert len(examples) == 200
    assert {split_of(example) for example in examples} == {"train", "calibration", "test"}
    plain = train_judge(toy_base, base_name="toy", examples=120)
    taught = train_judge(toy_base, base_name="toy", examples=120, labelled=examples)
    labels = np.array([example.label for example in examples])
    assert area_under_curve(taught.score(examples, toy_base), labels) > area_under_curve(
        plain.score(examples, toy_base), labels
    )
    assert taught.report["labelled"] == 200


def test_an_effect_of_a_line_arrives(tmp_path: Path) -> None:
    calm = {**GOOD, "label": 0, "effects": []}
    examples = load_labelled([write(tmp_path / "f.jsonl", *[GOOD, calm] * LEAST_OF_A_LABEL)])
    assert examples[0].effects == (refund("7", 90.0, 45.0),)
    assert examples[0].family == "finance"


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ("{", "mine.jsonl:1", "not JSON"),
        ([1], "mine.jsonl:1", "expected an object"),
        ({**GOOD, "weight": 2}, "mine.jsonl:1.weight", "unknown key 'weight'"),
        ({**GOOD, "prompt": 7}, "mine.jsonl:1.prompt", "to be a text"),
        ({**GOOD, "label": True}, "mine.jsonl:1.label", "0 or 1"),
        ({**GOOD, "label": 2}, "mine.jsonl:1.label", "0 or 1"),
        ({**GOOD, "family": "sports"}, "mine.jsonl:1.family", "comms, finance, robot"),
        ({**GOOD, "effects": {}}, "mine.jsonl:1.effects", "a list"),
        ({**GOOD, "effects": [{"amount": 1}]}, "mine.jsonl:1.effects[0]", "`kind`"),
        ({**GOOD, "effects": [{"kind": "x", "amount": None}]}, "mine.jsonl:1.effects[0].amount", "finite number"),
        ({**GOOD, "effects": [{"kind": "x", "amount": math.nan}]}, "mine.jsonl:1.effects[0].amount", "finite number"),
        (GOOD, "--labelled", "at least 10 answers of finance with label 0"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named(tmp_path: Path, row: object, field: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_labelled([write(tmp_path / "mine.jsonl", row)])
    assert caught.value.field == field
    assert words in caught.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name an existing JSONL file"):
        load_labelled([tmp_path / "nowhere.jsonl"])
