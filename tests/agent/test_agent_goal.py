"""From a goal to its answer: honest about what was found, refused and not done."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from builderbrain.agent import GoalResult, GoalRunner, PlanProposal, PlanRequest, WorkingRoot, open_domain, proposed_in_thread
from builderbrain.errors import InvalidRequestError
from builderbrain.plan import parse_text
from builderbrain.plan.skeleton import skeleton_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "README.md").write_text("# Sample\n\nThe promotion gate decides.\n")
    (tmp_path / "src" / "gate.py").write_text('"""The promotion gate."""\n\n\ndef promotion_gate():\n    return "```"\n')
    (tmp_path / "src" / "long.py").write_text("".join(f"line_{number} = {number}\n" for number in range(500)))
    return tmp_path


def run(folder: Path, plan: str, *, dry_run: bool = False, finish: str = "stop") -> GoalResult:
    asked: list[str] = []

    def source(request: PlanRequest) -> PlanProposal:
        asked.append(request.goal)
        return PlanProposal(text=plan, weight_version="v7", finish_reason="length" if finish == "length" else "stop")

    home = open_domain("repo_assistant", WorkingRoot(folder))
    result = GoalRunner(proposed_in_thread(source), home, further=0).run("do it", dry_run=dry_run)
    assert asked == ["do it"]
    assert result.weight_version == "v7"
    json.dumps(result.to_json())
    return result


def test_search_then_open_says_what_was_found_and_quotes_the_file(folder: Path) -> None:
    result = run(folder, 's1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)')
    assert result.verdict.accepted
    assert [entry.skill for entry in result.trace] == ["search", "read"]
    assert '2 lines in 2 files match "promotion gate"; first src/gate.py' in result.answer
    assert "README.md:3: The promotion gate decides." in result.answer
    assert "src/gate.py, 5 lines" in result.answer
    assert "def promotion_gate():" in result.answer


def test_the_reply_has_the_shape_of_the_contract(folder: Path) -> None:
    reply = run(folder, "s1=list()").to_json()
    assert set(reply) == {"answer", "plan", "verdict", "trace", "weight_version"}
    assert {"id", "skill", "args", "ok", "output", "seconds"} <= set(reply["trace"][0])
    assert reply["plan"] == {"domain": "repo_assistant", "version": 1, "steps": [{"id": "s1", "skill": "list", "args": {}}]}
    assert reply["verdict"] == {"accepted": True, "faults": [], "confirm": []}


def test_nothing_found_is_said_plainly(folder: Path) -> None:
    answer = run(folder, 's1=search(pattern="unicorn")\ns2=read(path=s1.first_path)').answer
    assert 'Nothing in the working root matches "unicorn"' in answer
    assert "Could not read" in answer
    assert "search found nothing" in answer


def test_a_relaxed_match_is_not_passed_off_as_an_exact_one(folder: Path) -> None:
    answer = run(folder, 's1=search(pattern="promotion-gates",path="src")').answer
    assert 'come close to "promotion-gates"' in answer
    assert "come close to" not in run(folder, 's1=search(pattern="promotion gate")').answer


def test_a_failure_is_named_with_its_remedy_and_the_rest_is_answered(folder: Path) -> None:
    answer = run(folder, 's1=read(path="READNE.md")\ns2=list(path="src")').answer
    assert "Could not read READNE.md" in answer
    assert "did you mean README.md?" in answer
    assert "src has 2 files:\n```\ngate.py\nlong.py\n```" in answer


def test_a_link_that_leaves_the_root_is_refused_in_words(folder: Path) -> None:
    (folder / "link").symlink_to("../")
    result = run(folder, 's1=list(path="link")')
    assert result.trace[0].to_json()["error_code"] == "path_escape"
    assert "leaves the working root" in result.answer


def test_talk_is_said_verbatim(folder: Path) -> None:
    assert run(folder, 's1=talk(text="Hello. What shall I look for?")').answer == "Hello. What shall I look for?"


def test_long_files_are_quoted_from_their_beginning(folder: Path) -> None:
    answer = run(folder, 's1=read(path="src/long.py")').answer
    assert "src/long.py, 500 lines, begins:" in answer
    assert "line_23 = 23" in answer
    assert "line_24 = 24" not in answer


def test_a_quoted_file_cannot_close_its_fence(folder: Path) -> None:
    answer = run(folder, 's1=read(path="src/gate.py")').answer
    fence = re.findall(r"^`+$", answer, re.MULTILINE)
    assert fence == ["````", "````"]


def test_a_bare_name_says_which_file_it_meant(folder: Path) -> None:
    assert "src/gate.py (the only gate.py here)" in run(folder, 's1=read(path="gate.py")').answer


def test_a_refused_plan_runs_nothing_and_says_why(folder: Path) -> None:
    result = run(folder, 's1=read(path="../secret")\ns2=list()')
    assert not result.verdict.accepted
    assert [fault.code for fault in result.verdict.faults] == ["path_escape"]
    assert result.trace == ()
    assert result.plan is not None
    assert "Nothing was run" in result.answer
    assert "leaves the working root" in result.answer


@pytest.mark.parametrize(("plan", "finish"), [("s1=search(patt", "length"), ("sure, I can", "stop")])
def test_a_proposal_that_is_no_plan_is_a_refusal(folder: Path, plan: str, finish: str) -> None:
    result = run(folder, plan, finish=finish)
    assert (result.plan, result.trace) == (None, ())
    assert [fault.code for fault in result.verdict.faults] == ["malformed"]
    assert ("cut off" in result.answer) == (finish == "length")


def test_a_dry_run_runs_nothing_and_shows_the_plan(folder: Path) -> None:
    result = run(folder, 's1=search(pattern="x")\ns2=read(path=s1.first_path) if s1.count > 0', dry_run=True)
    assert result.trace == ()
    assert result.verdict.accepted
    assert result.answer == (
        'Nothing was run. The plan:\n1. search the working root for "x"\n2. read the first path of s1, if s1.count > 0'
    )


@pytest.mark.parametrize("goal", ["", "  \n", "x" * 4_001, None, 7])
def test_what_is_no_goal_is_refused_by_name(folder: Path, goal: object) -> None:
    proposal = PlanProposal(text="s1=list()", weight_version="v")
    runner = GoalRunner(proposed_in_thread(lambda _: proposal), open_domain("repo_assistant", WorkingRoot(folder)))
    with pytest.raises(InvalidRequestError) as refused:
        runner.run(goal)  # type: ignore[arg-type]
    assert refused.value.field == "goal"


def test_a_plan_that_leaves_the_graph_the_model_foresaw_is_run_and_reported(folder: Path) -> None:
    plan, other = "s1=list()", 's1=search(pattern="gate")\ns2=read(path=s1.first_path)'

    def reply(foreseen: str) -> dict[str, object]:
        proposal = PlanProposal(text=plan, weight_version="v7", skeleton=skeleton_of(parse_text(foreseen)))
        home = open_domain("repo_assistant", WorkingRoot(folder))
        return GoalRunner(proposed_in_thread(lambda _: proposal), home).run("do it").to_json()

    assert reply(plan)["disagreements"] == []
    found = reply(other)
    assert found["verdict"] == {"accepted": True, "faults": [], "confirm": []}
    assert found["trace"]
    assert found["disagreements"] == [
        {"where": "s1", "planned": "list", "foreseen": "search"},
        {"where": "s2", "planned": None, "foreseen": "read"},
    ]
