"""The examples of docs/toolgraph.md and docs/traces.md are read as they are printed."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

from builderbrain.data.extract import with_plan
from builderbrain.data.read_trace import trace_from_json
from builderbrain.data.tool_chains import read_chains
from builderbrain.data.tool_graph import load_tool_graph
from builderbrain.eval.cli import main as evaluate
from builderbrain.plan import Reference

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(name: str) -> list[dict]:
    return [json.loads(text) for text in EXAMPLE.findall((DOCS / name).read_text(encoding="utf-8"))]


def test_the_files_of_the_tool_graph_guide_make_a_graph_a_chain_and_a_task(tmp_path: Path) -> None:
    tools, graph, row = examples("toolgraph.md")
    for name, value in (("tool_desc.json", tools), ("graph_desc.json", graph), ("train.jsonl", row)):
        (tmp_path / name).write_text(json.dumps(value) + "\n", encoding="utf-8")
    found = load_tool_graph(tmp_path)
    (chain,) = read_chains(tmp_path / "train.jsonl", found, "toolgraph").chains
    assert chain.tools == ("find_song", "play_song")
    assert chain.steps == ("look for the blue song", "play it")
    assert all(pair in found.links for pair in pairwise(chain.tools))
    rows = str(tmp_path / "train.jsonl")
    assert evaluate(["toolgraph", "--train", rows, "--test", rows]) == 0


def test_the_row_of_the_traces_guide_gives_the_plan_that_it_says() -> None:
    (row,) = examples("traces.md")
    plan = with_plan(trace_from_json(row)).plan
    assert plan is not None
    assert [(step.skill, dict(step.args)) for step in plan.steps] == [
        ("find", {"name": "lamp"}),
        ("buy", {"item": Reference("s1", "item_id")}),
    ]
