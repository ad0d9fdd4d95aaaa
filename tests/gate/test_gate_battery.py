"""The battery: current, large enough, and never part of what was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from builderbrain.errors import BatteryError
from builderbrain.gate import commands
from builderbrain.gate.battery import (
    BATTERY_FOLDER,
    SEALED_FILE,
    battery_domains,
    due_battery,
    folder_of,
    load_battery,
    prompt_hash,
    refuse_overlap,
    sealed_is_due,
    shipped_battery,
)
from builderbrain.gate.make_battery import batteries, main
from builderbrain.gate.registry import Registry
from builderbrain.gate.scenes import SCENES, USUAL
from builderbrain.gate.statistics import alpha_spent, least_samples
from builderbrain.plan import get_domain
from builderbrain.train.spoken.domains import spoken_domain
from tests.gate.conftest import report_of

LINE = {"id": "a", "family": "f", "kind": "regression", "domain": "d", "prompt": "find it", "expected_skills": ["search"]}


def test_the_shipped_files_are_what_the_script_writes(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name, content in batteries().items():
        assert (BATTERY_FOLDER / name).read_text(encoding="utf-8") == content == (tmp_path / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("domain", "tries"), [("repo_assistant", 50), ("robot_cell", 50), ("api_json", 20)])
def test_it_is_large_enough_for_many_tries_and_within_the_usual_size(domain: str, tries: int) -> None:
    battery, sealed = shipped_battery(domain=domain), shipped_battery(domain=domain, sealed=True)
    assert 200 <= len(battery.prompts) <= 500
    assert battery.families >= least_samples(0, 0.05, alpha_spent(tries))
    assert {prompt.domain for prompt in sealed.prompts} == {domain}
    assert len(sealed.prompts) > len(battery.prompts)
    assert sealed.sha256 != battery.sha256
    assert {prompt.kind for prompt in battery.prompts} == {"regression", "red_team"}
    for prompt in battery.prompts:
        assert (prompt.expected_skills is not None) == (prompt.kind == "regression")


@pytest.mark.parametrize("domain", battery_domains())
def test_no_prompt_appears_twice(domain: str) -> None:
    prompts = shipped_battery(domain=domain, sealed=True).prompts
    assert len({prompt_hash(prompt.prompt) for prompt in prompts}) == len(prompts)


@pytest.mark.parametrize("domain", ["robot_cell", "api_json"])
def test_goldens_expect_skills_of_their_domain_in_words_that_no_rail_was_trained_on(domain: str) -> None:
    prompts = shipped_battery(domain=domain, sealed=True).prompts
    skills = get_domain(domain).skills
    assert all(set(prompt.expected_skills or ()) <= set(skills) for prompt in prompts)
    source = spoken_domain(domain)
    assert source is not None
    trained_on = {prompt_hash(goal.text) for goal in islice(source.goals(0), 2000)}
    assert [prompt.id for prompt in prompts if prompt_hash(prompt.prompt) in trained_on] == []


def test_every_scene_of_the_cell_is_in_the_battery() -> None:
    prompts = shipped_battery(domain="robot_cell").prompts
    assert {prompt.scene or USUAL for prompt in prompts} == set(SCENES["robot_cell"])


def test_a_prompt_in_the_training_data_refuses_the_run() -> None:
    battery = shipped_battery()
    refuse_overlap(battery, [prompt_hash("something else")])
    leaked = battery.prompts[3].prompt
    with pytest.raises(BatteryError, match=battery.prompts[3].id) as caught:
        refuse_overlap(battery, [prompt_hash(f"  {leaked.upper()} ")])
    assert caught.value.field == "training_data"


def test_the_sealed_part_is_due_every_tenth_promotion() -> None:
    assert [count for count in range(30) if sealed_is_due(count)] == [9, 19, 29]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "other"}, "b.jsonl:1.kind"),
        ({"prompt": ""}, "b.jsonl:1.prompt"),
        ({"family": 3}, "b.jsonl:1.family"),
        ({"surplus": 1}, "b.jsonl:1"),
        ({"expected_skills": 3}, "b.jsonl:1"),
        ({"scene": "person_at_tray"}, "b.jsonl:1.scene"),
        ({"domain": "robot_cell", "scene": "flood"}, "b.jsonl:1.scene"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, object], field: str) -> None:
    path = tmp_path / "b.jsonl"
    path.write_text(json.dumps({**LINE, **change}))
    with pytest.raises(BatteryError) as caught:
        load_battery([path])
    assert caught.value.field == field


def test_missing_empty_torn_and_doubled_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    for content in (None, "", "{", "[]", json.dumps({"id": "a"}), "\n".join([json.dumps(LINE)] * 2)):
        if content is not None:
            path.write_text(content)
        with pytest.raises(BatteryError):
            load_battery([path])


def test_the_sealed_part_comes_with_the_tenth_promotion_of_a_registry(tmp_path: Path, make_rail: Callable[[str], Path]) -> None:
    registry = Registry(tmp_path / "versions")
    live = registry.add(make_rail("v0"))
    registry.promote(live, expected_live=None)
    sizes = []
    for number in range(1, 11):
        sizes.append(len(commands._battery(registry, None).prompts))
        version = registry.add(make_rail(f"v{number}"))
        registry.record_report(report_of(version, live, registry.begin_attempt(version), count=300))
        registry.promote(version, expected_live=live)
        live = version
    opened, sealed = len(shipped_battery().prompts), len(shipped_battery(sealed=True).prompts)
    assert sealed > opened
    assert sizes == [opened] * 8 + [sealed] + [opened]


# --- files that somebody names --------------------------------------------------------------------------------------


def written(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({**LINE, "domain": "robot_cell", "expected_skills": ["look"], **changes}) + "\n")
    return path


def test_the_sealed_part_is_asked_when_it_is_due_whatever_files_are_named(tmp_path: Path) -> None:
    mine = written(tmp_path / "mine.jsonl")
    sealed = load_battery([folder_of("robot_cell") / SEALED_FILE])
    before = due_battery([mine], domain="robot_cell", promotions=8)
    assert ([prompt.id for prompt in before.prompts], before.parts, before.sealed) == (["a"], ("mine.jsonl",), False)
    due = due_battery([mine], domain="robot_cell", promotions=9)
    assert due.prompts == (*before.prompts, *sealed.prompts)
    assert (due.parts, due.sealed) == (("mine.jsonl", "robot_cell/sealed.jsonl"), True)
    assert due.sha256 not in (before.sha256, sealed.sha256)
    assert due_battery(None, domain="robot_cell", promotions=9) == shipped_battery(domain="robot_cell", sealed=True)


def test_a_sealed_file_that_is_named_is_asked_once_and_may_not_be_another(tmp_path: Path) -> None:
    path = folder_of("api_json") / SEALED_FILE
    named = due_battery([path], domain="api_json", promotions=9)
    assert named.prompts == load_battery([path]).prompts
    lines = path.read_text(encoding="utf-8").splitlines()
    softer = tmp_path / "softer.jsonl"
    softer.write_text(json.dumps({**json.loads(lines[0]), "prompt": "say hello"}))
    with pytest.raises(BatteryError, match=json.loads(lines[0])["id"]):
        due_battery([softer], domain="api_json", promotions=9)


def test_a_domain_without_a_sealed_part_is_asked_what_was_named(tmp_path: Path) -> None:
    mine = written(tmp_path / "mine.jsonl", domain="phone_flow")
    assert due_battery([mine], domain="phone_flow", promotions=9).parts == ("mine.jsonl",)
    with pytest.raises(
        BatteryError, match=r"no battery ships for phone_flow \(only for repo_assistant, api_json, robot_cell\)"
    ):
        due_battery(None, domain="phone_flow", promotions=0)


def test_prompts_of_another_domain_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        BatteryError, match="'a' is a prompt of robot_cell, but the candidate makes plans of api_json"
    ) as caught:
        due_battery([written(tmp_path / "mine.jsonl")], domain="api_json", promotions=0)
    assert caught.value.field == "battery.domain"
