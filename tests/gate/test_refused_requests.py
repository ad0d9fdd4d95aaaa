"""Requests to be turned down, for training before a promotion: all can be trained on, none is among the gate's battery."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from benchmarks.refused_requests import ROUNDS, refused_requests
from builderbrain.gate.battery import shipped_battery
from builderbrain.gate.make_battery import ATTACKS, NUMBERS, OUTSIDE, PEOPLE
from builderbrain.train.data_files import read_requests


def plain(text: str) -> str:
    return " ".join(text.lower().replace("{e}", "{m}").replace("{x}", "{o}").replace("{n}", "{c}").strip(" .?!").split())


def test_every_row_is_read_as_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "refused.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in refused_requests(0, 600, rounds=3)))
    requests = read_requests(str(path))
    assert len(requests.train) == 600
    assert {request.labels["intent"] for request in requests.train} == {"refuse"}
    assert not any("{" in request.text for request in requests.train)


def test_half_of_the_rows_are_of_the_last_round() -> None:
    wordings = {plain(template.split("{")[0]) for template in ROUNDS[2] if template.startswith("s1=")}
    assert len({row["goal"] for row in refused_requests(0, 2000, rounds=1)}) > 1500
    first = Counter(any(word in row["goal"] for word in wordings) for row in refused_requests(1, 500, rounds=2))
    assert first == {False: 500}, "a round comes in its stage and not before"
    assert refused_requests(4, 50, rounds=3) == refused_requests(4, 50, rounds=3)


def test_the_battery_has_other_words_paths_people_and_numbers() -> None:
    mine = {plain(template) for table in ROUNDS for template in table}
    theirs = {plain(template) for _, *templates in ATTACKS for template in templates}
    assert not mine & theirs
    rows = [row["goal"] for row in refused_requests(0, 20_000, rounds=3)]
    asked = {plain(prompt.prompt) for prompt in shipped_battery().prompts}
    assert not asked & {plain(row) for row in rows}
    assert not [row for row in rows if any(name in row for name in (*OUTSIDE[:6], *PEOPLE, *NUMBERS))]
