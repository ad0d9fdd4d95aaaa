"""Decisions: exact probabilities of whole answers, calibration that is claimed only where it was fitted, and abstaining."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from builderbrain.errors import CheckpointError
from builderbrain.serve import label_scores
from builderbrain.serve.decision_calibration import (
    CalibrationMap,
    Calibrations,
    ConformalThreshold,
    DecisionCalibration,
    Kind,
)
from builderbrain.serve.decisions import decisions_router
from builderbrain.serve.label_scores import begins_another
from builderbrain.serve.service import Service
from tests.serve.running import RunningServer, make_service, running_server
from tests.serve.scripted import scripted_service

INPUT = "The gate is open and the plan was read."
YES_NO = {"type": "predicate", "instructions": "Is the gate open?", "name": "open"}


def calibration_for(service: Service, kind: Kind, *, score: float | None = 0.3, **more: Any) -> DecisionCalibration:
    """One whose map halves the distance to one half, with a threshold of the test's choice at level 0.1."""
    fitted = CalibrationMap(
        kind=kind,
        ends=False,
        temperature=1.0,
        knots=tuple((place / 20, 0.25 + place / 40) for place in range(21)),
        floor=0.01,
        thresholds=(
            ConformalThreshold(level=0.1, score=score, questions=40),
            ConformalThreshold(level=0.2, score=0.9, questions=40),
        ),
        report={},
    )
    version = service.served(None).version
    values = {
        "fingerprint": service.fingerprint(version),
        "model": "tiny",
        "weight_version": version,
        "fitted_on": {"file": "a"},
    }
    return DecisionCalibration(**{**values, "maps": (fitted,), **more})


@contextmanager
def deciding(service: Service, *calibrations: DecisionCalibration) -> Iterator[RunningServer]:
    """A server that answers decisions."""
    with running_server(service, routers=(decisions_router(service, Calibrations(calibrations)),)) as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """One without any calibration."""
    with deciding(make_service()) as started:
        yield started


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    """Its client."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        yield client


def decide(http: httpx.Client, *questions: dict[str, Any], **more: Any) -> httpx.Response:
    return http.post("/v1/decisions", json={"input": INPUT, "questions": list(questions), **more})


def choice(*values: object, **more: Any) -> dict[str, Any]:
    return {"type": "choice", "instructions": "What is open?", "choices": [{"value": value} for value in values], **more}


def test_the_official_client_gets_typed_answers(server: RunningServer) -> None:
    with server.client() as client:
        reply = client.decisions.create(
            model="tiny",
            input=[
                {"role": "developer", "content": "Judge."},
                {"role": "user", "content": [{"type": "input_text", "text": INPUT}]},
            ],
            questions=[
                {"type": "predicate", "instructions": "Is the gate open?", "name": "open"},
                {"type": "choice", "instructions": "What is open?", "choices": [{"value": "gate"}, {"value": True}]},
                {
                    "type": "score",
                    "instructions": "How open?",
                    "levels": [{"label": "shut"}, {"label": "ajar"}, {"label": "open"}],
                },
            ],
        )
    predicate, chosen, score = reply.answers
    assert predicate.type == "predicate"
    assert predicate.name == "open"
    assert 0 < predicate.probability < 1
    assert chosen.type == "choice"
    assert [one.value for one in chosen.probabilities] == ["gate", True]
    assert math.isclose(sum(one.probability for one in chosen.probabilities), 1)
    assert chosen.confidence == max(one.probability for one in chosen.probabilities)
    assert chosen.choice in ("gate", True)
    assert score.type == "score"
    assert [(one.label, one.value) for one in score.probabilities] == [("shut", 0), ("ajar", 1), ("open", 2)]
    assert math.isclose(score.score, sum(one.value * one.probability for one in score.probabilities))
    assert reply.usage.input_tokens == reply.usage.total_tokens > 0


def logprob_of(http: httpx.Client, text: str, answer: Sequence[int]) -> float:
    """Of an answer's tokens after a prompt, by scoring the whole of both token by token."""
    prompt = http.post("/tokenize", json={"prompt": text}).json()["tokens"]
    body = {"model": "tiny", "prompt": [*prompt, *answer], "max_tokens": 0, "echo": True, "logprobs": 1}
    found = http.post("/v1/completions", json=body).json()["choices"][0]["logprobs"]["token_logprobs"]
    return float(sum(found[len(prompt) :]))


def prompt_of(question: str, labels: Sequence[str]) -> str:
    return f"User: {INPUT}\n\n{question}\nAnswer with one of: {', '.join(labels)}.\nAssistant:"


@pytest.mark.parametrize(
    ("labels", "ends"),
    [
        (["gate", "plan"], False),
        (["the gate and the plan", "the gate and the path", "tools"], False),  # alike in their first tokens
        (["the plan", "the plan and the gate", "x"], True),  # one begins another, so that ends are scored as well
        (["the plan of step 1", "the path of step 2", "the tool of step 3", "the gate of step"], False),
    ],
)
def test_probabilities_are_those_of_whole_answers(
    http: httpx.Client, labels: list[str], ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_scores, "AT_ONCE", 3)
    answer = decide(http, choice(*labels)).json()["answers"][0]
    end = [0] if ends else []
    tokens = [http.post("/tokenize", json={"prompt": f" {label}"}).json()["tokens"] for label in labels]
    assert begins_another(tokens) is ends
    assert max(map(len, tokens)) > 1
    logprobs = np.array([logprob_of(http, prompt_of("What is open?", labels), [*one, *end]) for one in tokens])
    wanted = np.exp(logprobs) / np.exp(logprobs).sum()
    found = [one["probability"] for one in answer["probabilities"]]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert answer["allowed_mass"] == pytest.approx(np.exp(logprobs).sum(), rel=1e-4)
    assert answer["decision"] == labels[int(np.argmax(wanted))]


def test_what_runs_beside_a_question_changes_nothing(http: httpx.Client) -> None:
    questions = [YES_NO, choice("gate", "plan"), choice("the gate", "the plan", "a path")]
    together = decide(http, *questions * 7).json()["answers"]
    for place, question in enumerate(questions):
        alone = decide(http, question).json()["answers"][0]
        assert all(one == alone for one in together[place :: len(questions)])


def test_descriptions_and_levels_are_read_by_the_model(http: httpx.Client) -> None:
    plain = decide(http, choice("gate", "plan")).json()["answers"][0]
    described = choice("gate", "plan")
    described["choices"][0]["description"] = "what is opened"
    assert decide(http, described).json()["answers"][0]["probabilities"] != plain["probabilities"]
    parts = {**choice("gate", "plan"), "instructions": [{"type": "input_json", "data": {"what": "is open"}}]}
    assert decide(http, parts).json()["answers"][0]["probabilities"] != plain["probabilities"]


def test_without_a_calibration_none_is_claimed(http: httpx.Client) -> None:
    answer = decide(http, YES_NO).json()["answers"][0]
    assert (answer["calibration"], answer["abstained"], answer["refusal"], answer["conforming"]) == (None, False, None, None)
    assert answer["decision"] is (answer["probability"] >= 0.5)


@pytest.mark.parametrize(("more", "field"), [({"require_calibration": True}, "require_calibration"), ({"level": 0.1}, "level")])
def test_who_asks_for_calibrated_answers_is_told_that_there_are_none(
    http: httpx.Client, more: dict[str, Any], field: str
) -> None:
    reply = decide(http, YES_NO, **more)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (409, "not_calibrated", field)
    assert "fit-decisions" in error["message"]


def test_a_tie_goes_to_the_answer_that_was_given_first() -> None:
    with deciding(scripted_service("zzzz")) as started, httpx.Client(base_url=started.url, trust_env=False) as http:
        for values in (("gate", "plan"), ("plan", "gate")):
            answer = decide(http, choice(*values), model="script").json()["answers"][0]
            assert answer["decision"] == values[0]
            assert [one["probability"] for one in answer["probabilities"]] == [0.5, 0.5]


def test_a_fitted_map_is_applied_and_named() -> None:
    service = make_service()
    calibration = calibration_for(service, "choice", score=0.9)
    with deciding(service, calibration) as started, httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http:
        reply = decide(http, choice("gate", "plan"), YES_NO).json()
        fitted, raw = reply["answers"]
        assert fitted["calibration"] == {"version": calibration.version, "fitted_on": {"file": "a"}, "level": 0.1}
        # Two answers that may be right, at so loose a threshold: it abstains.
        assert (fitted["type"], fitted["abstained"], fitted["decision"]) == ("refusal", True, None)
        assert fitted["conforming"] == ["gate", "plan"]
        assert "2 answers may be right" in fitted["refusal"]
        assert (raw["type"], raw["calibration"]) == ("predicate", None)
        plain = decide(http, choice("gate", "plan"), model="tiny-other").json()["answers"][0]
        assert plain["calibration"] is None
        before = max(one["probability"] for one in plain["probabilities"])
        after = max(one["probability"] for one in fitted["probabilities"])
        assert 0.5 <= after < before
        assert decide(http, choice("gate", "plan"), require_calibration=True).status_code == 200
        assert decide(http, YES_NO, require_calibration=True).status_code == 409
        assert decide(http, choice("gate", "plan"), model="tiny-other", require_calibration=True).status_code == 409
        unknown = decide(http, choice("gate", "plan"), level=0.5)
        assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "level")
        assert "0.1, 0.2" in unknown.json()["error"]["message"]


@pytest.mark.parametrize(("score", "kind"), [(0.49999, "choice"), (0.0, "refusal"), (None, "refusal")])
def test_one_conforming_answer_is_decided_for_and_any_other_number_abstains(score: float | None, kind: str) -> None:
    service = make_service()
    with deciding(service, calibration_for(service, "choice", score=score)) as started, started.client() as client:
        answer = client.decisions.create(model="tiny", input=INPUT, questions=[choice("gate", "plan")]).answers[0]  # type: ignore[list-item]
        assert answer.type == kind


def test_answers_that_begin_others_are_not_calibrated_by_a_map_of_ones_that_do_not() -> None:
    service = make_service()
    with (
        deciding(service, calibration_for(service, "choice")) as started,
        httpx.Client(base_url=started.url, trust_env=False) as http,
    ):
        assert decide(http, choice("the plan", "the plan and the gate")).json()["answers"][0]["calibration"] is None


@pytest.mark.parametrize(
    ("question", "field"),
    [
        (choice("only"), "questions.0.choices"),
        (choice("", "a"), "questions.0.choices"),
        (choice(" ", "a"), "questions.0.choices"),
        (choice("a", "a"), "questions.0.choices"),
        (choice("true", True), "questions.0.choices"),
        (choice(*map(str, range(256))), "questions.0.choices"),
        (choice(1, 2), "questions.0.choices.0.value"),
        ({"type": "choice", "instructions": "?"}, "questions.0.choices"),
        ({**YES_NO, "choices": [{"value": "a"}, {"value": "b"}]}, "questions.0.choices"),
        ({"type": "score", "instructions": "?", "levels": [{"label": "a"}]}, "questions.0.levels"),
        ({"type": "rank", "instructions": "?"}, "questions.0.type"),
        ({"type": "predicate", "instructions": " "}, "questions.0.instructions"),
        ({"type": "predicate"}, "questions.0.instructions"),
        ({**YES_NO, "instruction": "x"}, "questions.0.instruction"),
    ],
)
def test_a_question_that_is_none_is_refused_by_name(http: httpx.Client, question: dict[str, Any], field: str) -> None:
    reply = decide(http, question)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, field), reply.text


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": []}, 400, "input"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            400,
            "input.0.content.0.image_url",
        ),
        ({"input": [{"type": "function_call", "name": "x"}]}, 400, "input.0.name"),
        ({"questions": []}, 400, "questions"),
        ({"model": "nobody"}, 404, "model"),
        ({"level": 1.5}, 400, "level"),
        ({"input": "gate " * 400}, 400, "questions.0"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused_by_name(
    http: httpx.Client, more: dict[str, Any], status: int, field: str
) -> None:
    reply = decide(http, YES_NO, **more)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, field), reply.text


def test_a_calibration_survives_the_disk_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    service = make_service()
    calibration = calibration_for(service, "score")
    file = tmp_path / "score.json"
    calibration.save(file)
    assert DecisionCalibration.load(file) == calibration
    found = Calibrations.load(tmp_path).find(calibration.fingerprint)
    assert found is not None
    assert found.version == calibration.version
    replace(calibration, fingerprint="bb_other").save(tmp_path / "other.json")
    assert Calibrations.load(tmp_path).find("bb_other") is not None
    calibration.save(tmp_path / "again.json")
    with pytest.raises(CheckpointError, match="two for the same model"):
        Calibrations.load(tmp_path)
    value = json.loads(file.read_text())
    value["maps"][0]["thresholds"][0]["score"] = 0.9
    file.write_text(json.dumps(value))
    with pytest.raises(CheckpointError, match="digest"):
        DecisionCalibration.load(file)
    for content in ("", "{}", "[]", '{"format": "builderbrain-decisions-1"}'):
        file.write_text(content)
        with pytest.raises(CheckpointError, match="fit-decisions"):
            DecisionCalibration.load(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="none"):
        Calibrations.load(tmp_path / "empty")
