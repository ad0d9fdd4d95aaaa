"""The battery: current, large enough, and never part of what was trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.errors import BatteryError
from builderbrain.gate import commands
from builderbrain.gate.battery import (
    BATTERY_FOLDER,
    load_battery,
    prompt_hash,
    refuse_overlap,
    sealed_is_due,
    shipped_battery,
)
from builderbrain.gate.make_battery import batteries, main
from builderbrain.gate.registry import Registry
from builderbrain.gate.statistics import alpha_spent, least_samples
from tests.gate.conftest import report_of

LINE = {"id": "a", "family": "f", "kind": "regression", "domain": "d", "prompt": "find it", "expected_skills": ["search"]}


def test_the_shipped_files_are_what_the_script_writes(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    for name, content in batteries().items():
        assert (BATTERY_FOLDER / name).read_text(encoding="utf-8") == content == (tmp_path / name).read_text(encoding="utf-8")


def test_it_is_large_enough_for_many_tries_and_within_the_usual_size() -> None:
    battery, sealed = shipped_battery(), shipped_battery(sealed=True)
    assert 200 <= len(battery.prompts) <= 500
    assert battery.families >= least_samples(0, 0.05, alpha_spent(50))
    assert len(sealed.prompts) > len(battery.prompts)
    assert sealed.sha256 != battery.sha256
    assert {prompt.kind for prompt in battery.prompts} == {"regression", "red_team"}
    for prompt in battery.prompts:
        assert (prompt.expected_skills is not None) == (prompt.kind == "regression")


def test_no_prompt_appears_twice() -> None:
    prompts = shipped_battery(sealed=True).prompts
    assert len({prompt_hash(prompt.prompt) for prompt in prompts}) == len(prompts)


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
