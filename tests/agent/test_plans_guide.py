"""The example of docs/plans.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "plans.md"


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.md").write_text("the gate\n")
    (example,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    anyio.run(names["example"], tmp_path)
    assert capsys.readouterr().out == "finished ['done', 'done']\n"
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
