"""What is kept of live traffic: whole lines, bounded, without personal data; and what of it counts as an example."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from builderbrain.agent.goal import GoalResult
from builderbrain.agent.trace import TraceEntry
from builderbrain.errors import ConfigError, InvalidRequestError, OutputError
from builderbrain.learn.trace_log import MAX_ROW_BYTES, TraceLog
from builderbrain.learn.traces import Traces
from builderbrain.plan import Plan, check, parse_text
from builderbrain.serve.attached import GoalAnswered
from builderbrain.storage import fail_point_hook

KEY = b"k" * 32


def plan_of(text: str) -> Plan:
    return parse_text(text, domain="repo_assistant")


def served(goal: str, plan: str = 's1=search(pattern="gate")', *, caller: str = "key 0", output: Any = None) -> GoalAnswered:
    parsed = plan_of(plan)
    entry = TraceEntry(
        id="s1", skill="search", args={"pattern": "gate"}, status="done", output=output or {"count": 1}, seconds=0.1, attempts=1
    )
    result = GoalResult(answer="1 line.", plan=parsed, verdict=check(parsed), trace=(entry,), weight_version="v1")
    return GoalAnswered(goal=goal, result=result, caller=caller, domain="repo_assistant")


@pytest.fixture
def traces(tmp_path: Path) -> Traces:
    return Traces(TraceLog(tmp_path / "traces"), KEY)


def test_a_goal_counts_once_somebody_says_it_was_right(traces: Traces) -> None:
    first, second = traces.goal(served("search for the gate")), traces.goal(served("find the gate"))
    assert first is not None
    assert second is not None
    assert traces.examples() == []
    assert traces.outcome(first, right=True, caller="key 0") == "repo_assistant"
    assert traces.outcome(second, right=False, caller="key 0") == "repo_assistant"
    (example,) = traces.examples()
    assert (example.id, example.text, example.corrected) == (first, "search for the gate", False)
    assert example.plan == plan_of('s1=search(pattern="gate")')
    assert traces.outcome(first, right=False, caller="key 1") == "repo_assistant"
    assert traces.examples() == [], "disputed"
    assert traces.outcome("trc_unknown", right=True, caller="key 0") is None


def test_a_corrected_plan_is_checked_and_takes_the_place_of_the_one_that_was_run(traces: Traces) -> None:
    identifier = traces.goal(served("list the folder docs"))
    assert identifier is not None
    with pytest.raises(InvalidRequestError, match="checker"):
        traces.outcome(identifier, right=False, caller="key 1", plan=plan_of("s1=read(path=s9.first_path)"))
    right = plan_of('s1=list(path="docs")')
    assert traces.outcome(identifier, right=False, caller="key 1", plan=right) == "repo_assistant"
    (example,) = traces.examples()
    assert (example.plan, example.corrected, example.source) == (right, True, traces.source("key 1"))


def test_nothing_personal_is_written(traces: Traces) -> None:
    goal = "search for ada@example.org with password: hunter2secret from 203.0.113.7"
    identifier = traces.goal(
        served(
            goal, 's1=search(pattern="ada@example.org")', caller="address 203.0.113.9", output={"text": "call +44 20 7946 0958"}
        )
    )
    assert identifier is not None
    traces.outcome(identifier, right=False, caller="a", plan=plan_of('s1=search(pattern="ada@example.org")'))
    written = b"".join(path.read_bytes() for path in traces.log.folder.glob("*.jsonl")).decode()
    for secret in ("ada@example.org", "hunter2secret", "203.0.113", "7946", "address"):
        assert secret not in written
    (example,) = traces.examples()
    assert example.text.startswith("search for <EMAIL_1> with password: <SECRET_1>")
    assert example.plan == plan_of('s1=search(pattern="<EMAIL_1>")'), "the plan points at the same placeholder"


def test_long_results_are_left_out_and_the_trace_stays(traces: Traces) -> None:
    assert traces.goal(served("search for the gate", output={"text": "x " * MAX_ROW_BYTES})) is not None
    (row,) = traces.log.rows()
    assert row["trace"]["calls"][0]["result"] == "left out: too long"


def test_after_a_restart_outcomes_still_find_their_goals(tmp_path: Path) -> None:
    first = Traces(TraceLog(tmp_path), KEY)
    identifier = first.goal(served("search for the gate"))
    assert identifier is not None
    with pytest.raises(ConfigError, match="another process"):
        TraceLog(tmp_path)
    first.log.close()
    again = Traces(TraceLog(tmp_path), KEY)
    assert again.outcome(identifier, right=True, caller="key 0") == "repo_assistant"
    assert [example.id for example in again.examples()] == [identifier]


def test_the_log_is_bounded_and_the_oldest_goes(tmp_path: Path) -> None:
    log = TraceLog(tmp_path, most_bytes=4000, file_bytes=1000)
    for number in range(300):
        log.append({"number": number, "text": "x" * 50})
        assert log.num_bytes <= 4000
    numbers = [row["number"] for row in log.rows()]
    assert numbers == list(range(numbers[0], 300))
    assert len(numbers) > 30


@pytest.mark.parametrize("place", ["traces.before_line", "traces.torn_line"])
def test_a_full_disk_costs_the_row_and_nothing_else(traces: Traces, place: str) -> None:
    assert traces.goal(served("search for the gate")) is not None

    def full(name: str) -> None:
        if name == place:
            raise OSError(28, "No space left on device")

    with fail_point_hook(full):
        assert traces.goal(served("find the gate")) is None
        identifier = next(iter(traces.log.rows()))["id"]
        with pytest.raises(OutputError, match="No space"):
            traces.outcome(identifier, right=True, caller="key 0")
    assert traces.log.dropped == 2
    assert len(list(traces.log.rows())) == 1
    assert traces.goal(served("find the gate")) is not None
    assert len(list(traces.log.rows())) == 2


def test_a_killed_process_leaves_whole_lines(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from builderbrain.learn.trace_log import TraceLog
        from builderbrain.storage import fail_point_hook
        log = TraceLog(Path(sys.argv[1]))
        for number in range(5):
            log.append({"number": number})
        def die(name):
            if name == "traces.torn_line":
                os.kill(os.getpid(), signal.SIGKILL)
        with fail_point_hook(die):
            log.append({"number": 5})
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env={**os.environ}, check=False)
    assert done.returncode == -signal.SIGKILL
    raw = next(tmp_path.glob("*.jsonl")).read_bytes()
    assert not raw.endswith(b"\n"), "the kill was in the middle of a line"
    log = TraceLog(tmp_path)
    log.append({"number": 6})
    assert [row["number"] for row in log.rows()] == [0, 1, 2, 3, 4, 6]
    assert all(json.loads(line) for line in next(tmp_path.glob("*.jsonl")).read_bytes().splitlines())
