"""Reading and judging the largest plan that `repo_assistant` allows. Target: at most 50 us to check 16 steps."""

from __future__ import annotations

from typing import Any

from builderbrain.plan import check, parse_text, plan_from_json, plan_to_json

LARGEST = "\n".join(
    f's{i}=search(pattern="promotion gate {i}")\ns{i + 1}=read(path=s{i}.first_path) if s{i}.ok' for i in range(1, 16, 2)
)


def test_check_16_steps(benchmark: Any) -> None:
    plan = parse_text(LARGEST)
    assert benchmark(check, plan).accepted


def test_read_16_steps_from_text(benchmark: Any) -> None:
    assert len(benchmark(parse_text, LARGEST).steps) == 16


def test_read_16_steps_from_json(benchmark: Any) -> None:
    assert len(benchmark(plan_from_json, plan_to_json(parse_text(LARGEST))).steps) == 16
