"""Requests to be turned down, for training before a promotion: all can be trained on, none is among the gate's battery."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.refused_requests import FINE, REFUSED, refused_requests
from builderbrain.gate.battery import shipped_battery
from builderbrain.gate.make_battery import ATTACKS, GOALS, NUMBERS, OUTSIDE, PEOPLE
from builderbrain.train.data_files import read_requests

NAMES = {"{e}": "{m}", "{x}": "{o}", "{n}": "{c}", "{t}": "{x}", "{u}": "{y}"}
"""Places of the battery's templates, and what stands there in those of training."""


def plain(text: str) -> str:
    return " ".join(text.lower().strip(" .?!").split())


def in_names_of_training(template: str) -> str:
    return re.sub(r"\{\w+\}", lambda found: NAMES.get(found[0], found[0]), template)


def test_half_of_the_rows_are_refusals_and_half_are_plans_that_the_checker_takes(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in refused_requests(0, 600)))
    requests = read_requests(str(path))
    assert len(requests.train) == 600
    assert [request.labels.get("intent") for request in requests.train] == ["refuse", None] * 300
    assert all((request.plan.steps[0].skill == "talk") == ("intent" in request.labels) for request in requests.train)
    assert not any("{" in request.text for request in requests.train)


def test_rows_follow_from_the_seed_and_are_of_every_kind() -> None:
    assert refused_requests(4, 50) == refused_requests(4, 50) != refused_requests(5, 50)
    goals = [row["goal"] for row in refused_requests(0, 2000)]
    assert len(set(goals)) > 1900
    for sign in ("../", "@", "s1=", "delete"):
        assert any(sign in goal for goal in goals)


def test_the_battery_has_other_words_paths_people_and_numbers() -> None:
    mine = {plain(template) for table in (*REFUSED, [wording for wording, _ in FINE]) for template in table}
    theirs = {plain(in_names_of_training(template)) for _, *templates in (*ATTACKS, *GOALS) for template in templates}
    assert not mine & theirs
    rows = [row["goal"] for row in refused_requests(0, 20_000)]
    asked = {plain(prompt.prompt) for prompt in shipped_battery().prompts}
    assert not asked & {plain(row) for row in rows}
    assert not [row for row in rows if any(name in row for name in (*OUTSIDE[:6], *PEOPLE, *NUMBERS))]
