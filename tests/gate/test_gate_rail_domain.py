"""Which domain a rail is of decides what it is asked, in which grammar, and what it can be compared with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from builderbrain.errors import ConfigError
from builderbrain.gate.__main__ import main
from builderbrain.gate.rail_domain import domain_of, domain_of_folder
from builderbrain.gate.registry import Registry
from builderbrain.rail.bundled import BUNDLED_DOMAIN_RAILS, BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail, load_rail_config, save_rail

CELL_RAIL = BUNDLED_DOMAIN_RAILS / "robot_cell"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        code = main(["--registry", str(tmp_path / "versions"), *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def another_cell_rail(tmp_path: Path) -> Path:
    """The bundled rail of the cell with one weight changed."""
    rail = load_rail(CELL_RAIL)
    next(iter(rail.parameters())).data.view(-1)[0] += 1e-3
    save_rail(rail, tmp_path / "another")
    return tmp_path / "another"


def test_every_bundled_rail_is_known_by_its_actions() -> None:
    assert domain_of_folder(BUNDLED_RAIL) == "repo_assistant"
    for folder in BUNDLED_DOMAIN_RAILS.iterdir():
        assert domain_of_folder(folder) == folder.name
        assert domain_of(load_rail_config(folder), {}) == folder.name


def test_a_rail_without_actions_is_of_the_first_domain_and_one_of_no_domain_is_refused() -> None:
    config = load_rail_config(CELL_RAIL)
    assert domain_of(dataclasses.replace(config, actions=()), {}) == "repo_assistant"
    with pytest.raises(ConfigError, match=r"\(fly, look\) are skills of no domain") as caught:
        domain_of(dataclasses.replace(config, actions=("fly", "look")), {})
    assert caught.value.field == "candidate"


def test_a_candidate_of_another_domain_than_live_is_refused_and_recorded(run: Run, tmp_path: Path) -> None:
    assert run("promote", BUNDLED_RAIL)[0] == 0
    code, out, err = run("evaluate", CELL_RAIL)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("candidate: ")
    assert "makes plans of robot_cell, but live" in err
    assert "--registry" in err
    entry = Registry(tmp_path / "versions").audit_entries()[-1]
    assert (entry.event, entry.details["field"]) == ("refused", "candidate")


def test_a_first_rail_of_a_domain_is_measured_against_the_bundled_one_of_that_domain(
    run: Run, another_cell_rail: Path, tmp_path: Path
) -> None:
    code, out, err = run("promote", another_cell_rail)
    assert code == 2
    assert "the bundled rail, which was served until now" in out
    assert err.startswith("report: ")
    assert domain_of_folder(Registry(tmp_path / "versions").live_path()) == "robot_cell"
    assert "already" in run("promote", CELL_RAIL)[2]


def test_both_versions_are_asked_prompts_of_their_domain_in_its_grammar(
    run: Run, another_cell_rail: Path, tmp_path: Path
) -> None:
    line = {"id": "a", "family": "f", "kind": "regression", "domain": "robot_cell", "expected_skills": ["precheck", "move"]}
    line["prompt"] = "Stand over x -10, y 75 of the table."
    foreign, mine = tmp_path / "foreign.jsonl", tmp_path / "mine.jsonl"
    foreign.write_text(json.dumps({**line, "domain": "repo_assistant"}))
    mine.write_text(json.dumps(line))
    code, _, err = run("evaluate", another_cell_rail, "--battery", foreign)
    assert code == 2
    assert err.startswith("battery.domain: 'a' is a prompt of repo_assistant")
    code, out, err = run(
        "evaluate", another_cell_rail, "--battery", mine, "--output", tmp_path / "report.json", "--timeout", 600
    )
    assert code == 1, err  # one prompt is too few to promote
    assert "asked: mine.jsonl; the sealed part: not due" in out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["battery"] == {"parts": ["mine.jsonl"], "sealed": False}
    assert report["readings"][0]["fault"] is None
    assert report["goldens"]["robot_cell"] == {"all": 1, "old": 1, "new": 1, "won": 0, "lost": 0}
