"""The tool-graph layout: rows to plans, and the planchecker that a graph makes."""

import json

import pytest

from builderbrain.data.tool_graph import domain_of, graph_row_to_trace, load_tool_graph, plan_of_row
from builderbrain.errors import DataError
from builderbrain.plan import READ_ONLY, Plan, Step
from builderbrain.plan.graph import check_plan
from tests.data.tool_graph_folder import graph_row, write_folder


def shape(plan: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(step.skill, step.needs) for step in plan.steps]


def test_a_row_becomes_a_request_steps_in_words_and_a_plan():
    trace = graph_row_to_trace(graph_row("7", " Play Blue.\n", ["find_song", "play_song"]), "music")
    assert trace.id == "7"
    assert [(message.role, message.content) for message in trace.messages] == [
        ("user", "Play Blue."),
        ("assistant", "Step 1 Call find_song\nStep 2 Call play_song"),
    ]
    assert shape(trace.plan) == [("find_song", ()), ("play_song", ("s1",))]
    assert trace.plan_source == "given"


@pytest.mark.parametrize(
    ("nodes", "links", "expected"),
    [
        (["b", "a"], [("a", "b")], [("a", ()), ("b", ("s1",))]),
        (["a", "b", "c"], [("a", "c"), ("b", "c")], [("a", ()), ("b", ()), ("c", ("s1", "s2"))]),
        (["a", "a"], [("a", "a")], [("a", ()), ("a", ("s1",))]),
        (["a", "b", "a"], [("a", "b"), ("b", "a")], [("a", ()), ("b", ("s1",)), ("a", ("s2",))]),
        (["a", "b", "a", "b"], [("a", "b"), ("a", "b")], [("a", ()), ("b", ("s1",)), ("a", ()), ("b", ("s3",))]),
        (["a", "b"], [], [("a", ()), ("b", ())]),
    ],
    ids=["order", "join", "twice", "there and back", "two pairs", "no links"],
)
def test_links_name_tools_and_become_edges_of_steps(nodes, links, expected):
    assert shape(plan_of_row(graph_row("1", "x", nodes, links), "d")) == expected


def test_arguments_that_are_outputs_make_edges():
    row = graph_row("1", "x", ["a", "b"], [])
    row["task_nodes"][0]["arguments"] = ["photo.png"]
    row["task_nodes"][1]["arguments"] = [{"name": "image", "value": "<node-0>"}]
    plan = plan_of_row(row, "d")
    assert shape(plan) == [("a", ()), ("b", ("s1",))]
    assert [dict(step.args) for step in plan.steps] == [{"argument_1": "photo.png"}, {"image": "<node-0>"}]


@pytest.mark.parametrize(
    ("nodes", "links", "message"),
    [
        (["a", "b"], [("a", "c")], r"task_links\[0\]: a -> c links no two of the nodes a, b"),
        (["a", "b"], [("a", "a")], r"task_links\[0\]: a -> a links no two"),
        (["a", "b"], [("a", "b"), ("b", "a")], "expected links without a cycle"),
        ([], [], "expected 1 to 64 nodes, got 0"),
        (["a"] * 65, [], "expected 1 to 64 nodes, got 65"),
        ([""], [], r"task_nodes\[0\].task: expected a non-empty string"),
    ],
)
def test_what_is_no_plan_is_refused(nodes, links, message):
    with pytest.raises(DataError, match=message):
        plan_of_row(graph_row("1", "x", nodes, links), "d")


def test_unknown_tools_and_empty_requests_are_refused(tmp_path):
    write_folder(tmp_path, [])
    graph = load_tool_graph(tmp_path)
    with pytest.raises(DataError, match=r"task_nodes\[1\].task: expected a tool of tool_desc.json, got 'fly'"):
        graph_row_to_trace(graph_row("1", "x", ["find_song", "fly"]), "d", graph)
    with pytest.raises(DataError, match="user_request: expected a non-empty string"):
        graph_row_to_trace(graph_row("1", " ", ["find_song"]), "d", graph)


@pytest.mark.parametrize("name", ["tool_desc.json", "graph_desc.json"])
def test_a_graph_that_lacks_a_file_is_refused(tmp_path, name):
    write_folder(tmp_path, [])
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f"expected {name} in"):
        load_tool_graph(tmp_path)


def test_a_tool_that_is_described_twice_is_refused_by_name(tmp_path):
    write_folder(tmp_path, [])
    nodes = [{"id": name} for name in ("find_song", "play_song", "find_song")]
    (tmp_path / "tool_desc.json").write_text(json.dumps({"nodes": nodes}))
    with pytest.raises(DataError, match=r"tool_desc.json.nodes\[2\].id: expected every tool once, got 'find_song' twice"):
        load_tool_graph(tmp_path)


def test_the_checker_of_a_graph_knows_its_tools_and_links(tmp_path):
    write_folder(tmp_path, [])
    (tmp_path / "tool_desc.json").write_text(
        json.dumps({"nodes": [{"id": name, "parameters": [{"name": "title"}]} for name in ("find_song", "play_song")]})
    )
    (tmp_path / "graph_desc.json").write_text(json.dumps({"links": [{"source": "find_song", "target": "play_song"}]}))
    domain = domain_of(load_tool_graph(tmp_path), "music")

    def codes(*steps: Step) -> list[str]:
        return [fault.code for fault in check_plan(Plan("music", 1, steps), domain, READ_ONLY)]

    find = Step("s1", "find_song", {"title": "Blue"})
    assert codes(find, Step("s2", "play_song", {}, ("s1",))) == []
    assert codes(Step("s1", "play_song"), Step("s2", "find_song", {}, ("s1",))) == ["illegal_edge"]
    assert codes(find, Step("s2", "fly")) == ["unknown_skill"]
    assert codes(Step("s1", "find_song", {"titel": "Blue"})) == ["unknown_argument"]
    assert codes(Step("s1", "find_song", {}, ("s2",)), Step("s2", "play_song", {}, ("s1",)))[-1] == "cycle"
