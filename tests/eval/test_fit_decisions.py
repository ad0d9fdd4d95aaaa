"""Fitting a decision calibration: it comes true, its sets hold the right answer as often as they say, and files are checked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from builderbrain.errors import DataError
from builderbrain.eval.cli import main
from builderbrain.eval.decision_questions import fit_decisions, print_fit, read_questions
from builderbrain.eval.fit_decisions import Labelled, conformal_score, fit_map, judge
from builderbrain.serve.decision_calibration import Calibrations
from builderbrain.serve.decisions import decisions_router
from tests.serve.running import make_service, running_server

LEVELS = (0.05, 0.1, 0.2)


def synthetic(count: int, seed: int, *, answers: int = 3, sharpness: float = 3.0, steps: int | None = None) -> list[Labelled]:
    """Questions of known probabilities, and a model that is too sure of itself; `steps` rounds what it says, so it ties."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet(np.ones(answers), count)
    # Beside being too sure it leans towards the first answer, which no temperature undoes.
    right = [int(rng.choice(answers, p=row)) for row in true]
    said = true**sharpness * np.array([1.5] + [1.0] * (answers - 1))
    if steps is not None:
        said = np.ceil(said / said.sum(axis=1, keepdims=True) * steps)
    said /= said.sum(axis=1, keepdims=True)
    return [Labelled(probabilities=row, right=place) for row, place in zip(said, right, strict=True)]


def fit(questions: Sequence[Labelled], levels: Sequence[float] = LEVELS):
    return fit_map("choice", ends=False, questions=questions, levels=levels, seed=0)


@pytest.mark.parametrize("answers", [2, 3, 8])
def test_probabilities_come_true_and_the_order_of_answers_stays(answers: int) -> None:
    fitted = fit(synthetic(4000, 1, answers=answers))
    report = judge(fitted, synthetic(4000, 2, answers=answers))
    assert report["ece_raw"] > 0.1
    assert report["ece"] < min(0.05, report["ece_raw"] / 3)
    for question in synthetic(50, 3, answers=answers):
        calibrated = fitted.calibrate(question.probabilities)
        assert math.isclose(calibrated.sum(), 1.0)
        order = np.argsort(question.probabilities)
        assert (np.diff(calibrated[order]) >= -1e-12).all()


@pytest.mark.parametrize("steps", [None, 4])
def test_sets_hold_the_right_answer_as_often_as_they_say_even_where_answers_tie(steps: int | None) -> None:
    """Over many small fits: at least 1 - level, and without ties hardly more than that and 1 / (n + 1)."""
    judged = synthetic(600, 99, steps=steps)
    fits = [fit(synthetic(100, 100 + seed, steps=steps)) for seed in range(25)]
    for place, level in enumerate(LEVELS):
        coverages = [judge(fitted, judged)["levels"][place]["coverage"] for fitted in fits]
        error = 3 * float(np.std(coverages)) / math.sqrt(len(fits)) + 3 * math.sqrt(level * (1 - level) / len(judged))
        assert np.mean(coverages) >= 1 - level - error
        if steps is None:
            assert np.mean(coverages) <= 1 - level + 1 / 41 + error


def test_of_what_is_decided_fewer_are_wrong_than_of_all() -> None:
    report = judge(fit(synthetic(3000, 5)), synthetic(3000, 6))
    strict = report["levels"][0]
    assert 0 < strict["decided"] < report["questions"]
    assert strict["wrong"] / strict["decided"] < 1 - report["accuracy"]


def test_the_score_is_the_order_statistic_and_too_few_questions_exclude_nothing() -> None:
    values = np.arange(1, 20) / 20
    assert conformal_score(values, 0.1) == 0.9  # the 18th of 19
    assert conformal_score(values, 0.05) == 0.95  # the 19th
    assert conformal_score(values[:18], 0.05) is None
    assert conformal_score(values[:0], 0.5) is None
    fitted = fit(synthetic(100, 7), levels=(0.01,))
    assert fitted.thresholds[0].score is None
    assert len(fitted.thresholds[0].conforming(np.array([0.98, 0.01, 0.01]))) == 3


def test_a_model_that_is_always_right_is_never_called_certain() -> None:
    sure = [Labelled(probabilities=np.array([0.999, 0.001]), right=0)] * 200
    calibrated = fit(sure).calibrate(np.array([0.999, 0.001]))
    assert 0 < calibrated[1] < calibrated[0] < 1


def test_too_few_questions_are_refused() -> None:
    with pytest.raises(DataError, match="at least 100"):
        fit(synthetic(99, 0))


def rows(count: int) -> list[dict[str, object]]:
    question = {"type": "predicate", "instructions": "Is the gate open?"}
    return [
        {
            "input": f"The gate is {'open' if place % 3 else 'shut'} at step {place}.",
            "question": question,
            "answer": place % 3 > 0,
        }
        for place in range(count)
    ]


def write(file: Path, values: Sequence[object]) -> Path:
    file.write_text("".join(json.dumps(value) + "\n" for value in values) + "\n")
    return file


def test_what_was_fitted_is_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import httpx
    from rich.console import Console

    file = write(tmp_path / "questions.jsonl", rows(100))
    questions = read_questions(file)
    both = fit_decisions(make_service(), questions, file=file, levels=LEVELS, seed=0, model=None)
    fitted = both.calibration
    again = fit_decisions(make_service(), questions, file=file, levels=LEVELS, seed=0, model="tiny").calibration
    table = both.table("chat_social", 0.05)
    (domain,) = table.domains
    assert (domain.domain, table.weight_version) == ("chat_social/decisions", fitted.weight_version)
    assert len(domain.reference["confidence"]) == 40
    assert domain.threshold.least is not None
    assert "at least 59" in (domain.thresholds[1].reason or "")
    assert fitted.version == again.version
    fitted.save(tmp_path / "fitted.json")
    print_fit(fitted, Console(width=200))
    assert fitted.version in capsys.readouterr().out
    assert fitted.fitted_on["questions"] == 100
    service = make_service()
    router = decisions_router(service, Calibrations.load(tmp_path / "fitted.json"))
    with running_server(service, routers=(router,)) as started, httpx.Client(base_url=started.url, trust_env=False) as http:
        body = {"input": "The gate is open.", "questions": [rows(1)[0]["question"]], "require_calibration": True, "level": 0.2}
        answer = http.post("/v1/decisions", json=body).json()["answers"][0]
    assert answer["calibration"] == {"version": fitted.version, "fitted_on": dict(fitted.fitted_on), "level": 0.2}
    assert answer["abstained"] is (len(answer["conforming"]) != 1)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({**rows(1)[0], "answer": "yes"}, "answer: expected one of [True, False]"),
        ({**rows(1)[0], "answr": True}, "answr"),
        ({"input": "x", "answer": True}, "question: this field is required"),
        ([1], "JSON object"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: object, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "questions.jsonl", [*rows(1), row])
    assert main(["fit-decisions", str(file), "--save", str(tmp_path / "out.json")]) == 2
    said = capsys.readouterr().err
    assert "line 2" in said
    assert words in said


@pytest.mark.parametrize(
    ("arguments", "words"), [(["nowhere.jsonl"], "nowhere.jsonl"), (["questions.jsonl", "--levels", "1.5"], "--levels")]
)
def test_unusable_options_are_refused(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "questions.jsonl", [])
    assert main(["fit-decisions", *arguments, "--save", "out.json"]) == 2
    assert words in capsys.readouterr().err
