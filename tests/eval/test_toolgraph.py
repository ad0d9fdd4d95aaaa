"""The toolgraph suite on a small graph of our own: gold scores 1, shuffled does not, the floor copies."""

import json

import pytest
import torch

from builderbrain.eval.cli import main
from builderbrain.eval.toolgraph import run_subject, summarise
from builderbrain.eval.toolgraph_learned import learned_of_asked, learned_record
from builderbrain.eval.toolgraph_subjects import make_subject
from builderbrain.eval.toolgraph_task import describe, load_task
from builderbrain.plan import Plan, Step
from builderbrain.storage import write_directory_atomic
from builderbrain.train.checkpoint import Checkpoint, save_checkpoint
from builderbrain.train.tool_graph.section import ToolGraphSection
from tests.data.tool_graph_folder import graph_row, write_folder

FIND_PLAY = ["find_song", "play_song"]
TRAIN = [
    graph_row("1", "find the blue song and play it", FIND_PLAY),
    graph_row("2", "turn it up and play on", ["set_volume", "play_song"]),
    graph_row("3", "play it and then stop", ["play_song", "stop_song"]),
    graph_row("4", "find it, play it, stop it", ["find_song", "play_song", "stop_song"]),
]
TEST = [
    graph_row("8", "please find the red song and play it", FIND_PLAY),
    graph_row("9", "turn it up", ["set_volume"]),
    graph_row("10", "loop the song twice", ["play_song", "play_song"]),
]


@pytest.fixture
def files(tmp_path):
    return write_folder(tmp_path, TRAIN), write_folder(tmp_path, TEST, "test.jsonl")


def test_the_floor_copies_the_nearest_plan_and_is_marked_by_hand(files):
    task = load_task(*files)
    results = run_subject(task, make_subject("nearest", task))
    assert [result.got.nodes for result in results] == [
        ("find_song", "play_song"),
        ("set_volume", "play_song"),
        ("find_song", "play_song"),
    ]
    assert [result.unseen for result in results] == [False, True, True]
    summary = summarise("nearest", results)
    # Tools: 2 of 2, then 1 right of 2 given and 1 wanted, then 1 right of 2 given and 1 wanted ({play_song}).
    assert summary.scores.node_f1 == pytest.approx(2 * 4 / (6 + 4))
    # Links: 1 of 1, then 0 of 1 given and none wanted, then 0 of 1 given and 1 wanted.
    assert summary.scores.link_f1 == pytest.approx(2 * 1 / (3 + 2))
    assert summary.scores.same_tools == pytest.approx(1 / 3)
    assert (summary.unseen, summary.unseen_scores.same_tools) == (2, 0)
    assert summary.accepted == 1


def test_gold_answers_score_one_and_shuffled_ones_do_not(files):
    task = load_task(*files)
    gold, shuffled = (summarise(name, run_subject(task, make_subject(name, task))) for name in ("oracle", "saboteur"))
    assert set(vars(gold.scores).values()) == {1.0}
    assert set(vars(gold.unseen_scores).values()) == {1.0}
    assert shuffled.scores.same_plan == 0
    assert shuffled.scores.node_f1 < 0.7


def test_plans_that_the_graph_forbids_and_missing_ones_are_not_accepted(files):
    class Wrong:
        name = "wrong"

        def plan(self, request):
            if "red" in request:
                return None
            backwards = (Step("s1", "stop_song"), Step("s2", "find_song", {}, ("s1",)))
            return Plan("any", 7, (Step("s1", "set_volume"),) if "up" in request else backwards)

    task = load_task(*files)
    results = run_subject(task, Wrong())
    assert [result.accepted for result in results] == [False, True, False]
    assert results[0].got.nodes == ()


def test_statistics_of_the_rows(files):
    task = load_task(*files)
    train, test = describe(task.train, task.tools), describe(task.test, task.tools)
    assert (train.rows, train.plans, train.tools, train.links, train.mean_steps) == (4, 4, 4, 3, 2.25)
    assert (train.sizes, train.chains, train.repeated_tools, train.foreign_links) == ({2: 3, 3: 1}, 4, 0, 0)
    assert test.repeated_tools == 1


def test_the_validation_cut_is_by_request_and_by_seed(tmp_path):
    rows = [graph_row(str(n), f"play song number {n // 2}" + " " * (n % 2), FIND_PLAY) for n in range(200)]
    path = write_folder(tmp_path, rows)
    task, again, other = load_task(path, None, cut=0.2), load_task(path, None, cut=0.2), load_task(path, None, cut=0.2, seed=1)
    assert task.test == again.test != other.test
    assert 20 < len(task.test) < 60
    assert len(task.train) + len(task.test) == 200
    assert {row.request for row in task.train} & {row.request for row in task.test} == set()


def test_the_command_prints_the_table_and_writes_every_item(files, tmp_path, capsys):
    train, test = map(str, files)
    target = tmp_path / "report.json"
    arguments = ["toolgraph", "--train", train, "--test", test, "--subject", "nearest", "--subject", "oracle"]
    assert main([*arguments, "--json", str(target)]) == 0
    output = capsys.readouterr().out
    assert "toolgraph: 3 requests, 2 with a plan that no training row has" in output
    assert "0.800" in output
    report = json.loads(target.read_text())
    assert [subject["subject"] for subject in report["subjects"]] == ["nearest", "oracle"]
    assert report["runs"][0]["items"][2]["expected"] == {"nodes": ["play_song"] * 2, "links": [["play_song", "play_song"]]}
    assert target.with_suffix(".svg").read_text().startswith("<svg")


def test_without_a_graph_nothing_is_said_of_acceptance(tmp_path, capsys):
    folder = tmp_path / "bare"
    folder.mkdir()
    train = write_folder(tmp_path, TRAIN).rename(folder / "train.jsonl.gz")
    assert main(["toolgraph", "--train", str(train), "--test", str(train)]) == 0
    assert "accepted by checker" in capsys.readouterr().out
    task = load_task(train, train)
    assert summarise("nearest", run_subject(task, make_subject("nearest", task))).accepted is None


def test_asked_requests_that_stand_in_the_training_rows_are_counted(files, tmp_path, capsys):
    train, test = files
    again = write_folder(tmp_path, [*TEST, graph_row("11", "Turn it up  and play on", FIND_PLAY)], "again.jsonl")
    for asked, line in ((test, "0 of 3"), (train, "4 of 4"), (again, "1 of 4")):
        assert main(["toolgraph", "--train", str(train), "--test", str(asked), "--json", str(tmp_path / "out.json")]) == 0
        assert f"{line} asked requests stand in --train" in capsys.readouterr().out
        report = json.loads((tmp_path / "out.json").read_text())
        assert f"{report['asked_in_train']} of {report['subjects'][0]['requests']}" == line
        assert report["subjects"][0]["learned"] == report["asked_in_train"]


def many(folder):
    return write_folder(folder, [graph_row(str(n), f"play song number {n}", FIND_PLAY) for n in range(100)])


def test_what_a_model_was_trained_on_is_told_from_the_record_beside_it(tmp_path):
    path = many(tmp_path)
    task = load_task(path, None, cut=0.3)
    asked = len(task.test)

    def rail(name, **options):
        record = learned_record(ToolGraphSection(rows=str(path), **options))
        write_directory_atomic(tmp_path / name, {}, information={"tool_graph": record})
        return learned_of_asked(tmp_path / name, task)

    assert rail("all") == asked > 20
    assert rail("cut", cut=0.3) == 0
    assert 0 < rail("less", cut=0.1) < asked
    assert 0 < rail("other", cut=0.3, cut_seed=1) < asked
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "training.json").write_text(
        (tmp_path / "all" / "manifest.json").read_text().replace("information", "x")
    )
    assert learned_of_asked(tmp_path / "lora", task) is None
    record = {"tool_graph": learned_record(ToolGraphSection(rows=str(path), cut=0.3))}
    (tmp_path / "lora" / "training.json").write_text(json.dumps(record))
    assert learned_of_asked(tmp_path / "lora", task) == 0
    whole = load_task(path, path)
    assert learned_of_asked(tmp_path / "all", whole) == 100
    (tmp_path / "elsewhere").mkdir()
    other = write_folder(tmp_path / "elsewhere", TRAIN)
    assert learned_of_asked(tmp_path / "all", load_task(other, other)) is None, "its rows are none of these files"


def test_a_rail_without_a_record_is_judged_by_the_configuration_of_its_run(tmp_path):
    path = many(tmp_path)
    task, section = load_task(path, None, cut=0.3), {"rows": str(path), "cut": 0.0, "cut_seed": 0}
    (tmp_path / "run" / "rail").mkdir(parents=True)
    rail = tmp_path / "run" / "rail"
    assert learned_of_asked(rail, task) is None

    def ran(step, **config):
        tensors = {"a": torch.zeros(1)}
        save_checkpoint(tmp_path / "run" / "checkpoints", Checkpoint(step=step, tensors=tensors, values={"config": config}))
        return learned_of_asked(rail, task)

    assert ran(1, data="scan", tool_graph={**section, "rows": ""}) is None
    assert ran(2, tool_graph=section) == len(task.test)
    assert ran(3, tool_graph={**section, "cut": 0.3}) == 0
    assert ran(4, tool_graph={**section, "rows": str(tmp_path / "other.jsonl")}) is None
    digest = learned_record(ToolGraphSection(rows=str(path)))["digest"]
    assert ran(5, **{"tool_graph": {**section, "rows": "moved.jsonl"}, "rows and graph": digest}) == len(task.test)
    assert ran(6, **{"tool_graph": section, "rows and graph": "0" * 64}) is None


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([*TRAIN, {"id": "5"}], [], "rows.jsonl:5: user_request: expected a non-empty string"),
        ([*TRAIN, TRAIN[0]], [], "ids to be unique in rows.jsonl, got '1' twice"),
        (TRAIN, ["--cut", "0"], "expected rows for --test, got none"),
        (TRAIN, ["--cut", "2"], "validation"),
        (TRAIN, ["--graph", "nowhere"], "expected tool_desc.json in nowhere"),
        (TRAIN, ["--test", "nowhere.jsonl"], "expected a readable file at nowhere.jsonl"),
    ],
)
def test_bad_input_is_refused(tmp_path, monkeypatch, capsys, rows, options, message):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path, rows, "rows.jsonl")
    assert main(["toolgraph", "--train", "rows.jsonl", *options]) == 2
    assert message in capsys.readouterr().err
