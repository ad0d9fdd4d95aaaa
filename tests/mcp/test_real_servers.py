"""Real servers, made with the protocol's official package, from their list to a confirmed plan that ran."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest

from builderbrain.agent import Ledger, Runtime, run_plan
from builderbrain.errors import NotConfirmedError, PlanRejectedError
from builderbrain.mcp import load_catalogue
from builderbrain.mcp.command import main
from builderbrain.plan import check, checked, load_grammar, parse_text, print_text
from tests.mcp.conftest import ALL, Desk
from tests.plan.conftest import byte_acceptor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "mcp.md"
PLAN = (
    's1=notes_add(a=19,b=23)\ns2=notes_read_note(name="today")\n'
    's3=notes_write_note(name="tomorrow",text=s2.result,tags=["a","b"]) after s1 if s1.result > 40'
)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The notes server, approved once, since a real server takes a while to start."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "root").mkdir()
    (folder / "root" / "today.txt").write_text("buy bread")
    desk = Desk(folder)
    tools = {"add": {"safety": "read_only"}, "read_note": {"safety": "read_only"}, "write_note": {}}
    desk.configure("notes", tools=tools, timeout_seconds=120)
    desk.approve()
    return desk


def test_its_tools_are_node_types_of_plans(notes: Desk) -> None:
    catalogue = load_catalogue(notes.config)
    skills = catalogue.domain.skills
    assert set(skills) == {"notes_add", "notes_read_note", "notes_write_note"}
    assert skills["notes_add"].results == {"ok": "boolean", "text": "text", "result": "integer"}
    write = skills["notes_write_note"]
    assert (write.safety, write.confirm, write.irreversible) == ("mutating", True, True)
    accepts = byte_acceptor(catalogue.grammar)
    with catalogue.available():
        plan = parse_text(PLAN, domain="desk")
        assert check(plan, granted=ALL).confirm == ("s3",)
        assert accepts(print_text(plan))
        assert load_grammar("desk") == catalogue.grammar
        for text, code in (
            ('s1=notes_add(a=1,b="2")', "ill_typed_argument"),
            ("s1=notes_add(a=1)", "missing_argument"),
            ('s1=notes_read_note(name="yesterday")', "bad_value"),
            ("s1=notes_delete()", "unknown_skill"),
        ):
            assert check(parse_text(text, domain="desk"), granted=ALL).faults[0].code == code
            assert not accepts(text)
        write_first = 's1=notes_write_note(name="today",text="x")'
        assert check(parse_text(write_first, domain="desk")).faults[0].code == "safety_not_granted"
    with pytest.raises(PlanRejectedError, match="no domain 'desk'"):
        checked(parse_text("s1=notes_add(a=1,b=2)", domain="desk"))


def test_a_plan_is_confirmed_and_executed(notes: Desk) -> None:
    report = notes.run(load_catalogue(notes.config), PLAN, kept=True)
    assert [entry.status for entry in report.entries] == ["done", "done", "done"], report.entries
    assert report.entries[0].output["result"] == 42
    assert report.entries[2].output == {"ok": True, "text": "wrote tomorrow", "result": "wrote tomorrow"}
    assert (notes.root.folder / "tomorrow.txt").read_text() == "buy bread a b"
    (request,) = notes.asked
    assert [step.step for step in request.steps] == ["s3"]
    assert request.arguments["s3"]["text"] == "${s2.result}"


def test_without_a_yes_nothing_runs(notes: Desk) -> None:
    (notes.root.folder / "tomorrow.txt").write_text("as it was")
    catalogue = load_catalogue(notes.config)
    notes.answer = False
    with pytest.raises(NotConfirmedError):
        notes.run(catalogue, 's1=notes_write_note(name="tomorrow",text="x")')

    async def unattended() -> None:
        ledger = Ledger(notes.folder / "other.db")
        try:
            with catalogue.available():
                plan = checked(parse_text('s1=notes_write_note(name="tomorrow",text="x")', domain="desk"), granted=ALL)
                await run_plan(plan, notes.root, tools=catalogue.tools, runtime=Runtime(ledger=ledger))
        finally:
            ledger.close()

    with pytest.raises(NotConfirmedError, match="nobody can answer"):
        anyio.run(unattended)
    assert (notes.root.folder / "tomorrow.txt").read_text() == "as it was"


def test_a_published_server_is_listed_approved_and_called_as_the_guide_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("mcp-server-time", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("mcp-server-time is not installed beside this Python; it is in requirements/dev.lock")
    guide = GUIDE.read_text(encoding="utf-8")
    (config,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    (example,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "mcp.yaml").write_text(config.replace("    tools:", "    timeout_seconds: 120\n    tools:"))
    assert main(["approve", str(tmp_path / "mcp.yaml")]) == 0
    listed = capsys.readouterr().out
    assert "clock: not approved" in listed
    assert "clock_convert_time(source_timezone: text, time: text, target_timezone: text) -> text: text" in listed
    assert "the result 'source' cannot be referred to: its type is 'object'" in listed
    names: dict[str, Any] = {}
    exec(example, names)
    anyio.run(names["example"], tmp_path)
    assert capsys.readouterr().out == "finished +9.0h\n"
