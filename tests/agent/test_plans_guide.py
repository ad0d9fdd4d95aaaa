"""The example of docs/plans.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "plans.md"


EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.md").write_text("the gate\n")
    names: dict[str, Any] = {}
    exec(EXAMPLES[0], names)
    anyio.run(names["example"], tmp_path)
    assert capsys.readouterr().out == "finished ['done', 'done']\n"
    assert len(list(tmp_path.glob("*.jsonl"))) == 1


def test_the_example_of_a_domain_with_a_world_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"Path": Path}
    exec(EXAMPLES[1], names)
    anyio.run(names["call"], tmp_path)
    assert capsys.readouterr().out == "finished verified\n"


def test_the_example_of_results_that_are_kept_runs() -> None:
    names: dict[str, Any] = {}
    exec(EXAMPLES[2], names)
    assert names["runtime"].results is names["kept"]
    assert len(EXAMPLES) == 3
