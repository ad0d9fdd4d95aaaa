"""The command line: tables, JSON with every item, a plot, and errors that name the option and the fix."""

import json

import pytest

from builderbrain.config import load_config
from builderbrain.eval import models
from builderbrain.eval.cli import main
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import gather_materials
from tests.hosts import tiny_models


def test_subjects_side_by_side_in_one_table_and_one_report(tmp_path, capsys):
    target = tmp_path / "report.json"
    assert (
        main(["plan-bench", "--json", str(target), "--subject", "oracle", "--subject", "saboteur", "--subject", "nearest"]) == 0
    )
    output = capsys.readouterr().out
    assert "21/21" in output
    assert "0/21" in output
    report = json.loads(target.read_text())
    assert [subject["subject"] for subject in report["subjects"]] == ["oracle", "saboteur", "nearest"]
    assert [len(run["items"]) for run in report["runs"]] == [21, 21, 21]
    assert report["subjects"][0]["goals_interval"]["low"] < 0.9
    assert 0 < report["subjects"][2]["score"] < 1
    assert (tmp_path / "report.svg").read_text().startswith("<svg")


def test_a_base_from_a_folder_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "MAX_PLAN_TOKENS", 4)
    folder = tiny_models.save_model(tiny_models.llama(max_position_embeddings=512), tmp_path / "base")
    options = ["--json", str(tmp_path / "r.json"), "--subject", "base", "--model", str(folder), "--device", "cpu"]
    assert main(["plan-bench", *options, "--least", "0.9"]) == 1
    assert "failed: expected at least 90.0%" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["runs"][0]["items"][0]["got"]["plan"]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_a_baseline_is_trained_on_the_batches_of_the_rail_and_says_what_it_took(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tiny_models.save_model(tiny_models.llama(max_position_embeddings=512), tmp_path / "base")
    config = ["data=scan", "wrong_steps=0", f"model={folder}", "device=cpu", "steps=2", "batch_size=3"]
    assert main([f"train-{kind}", "--out", "one", "--learning-rate", "0.001", *config]) == 0
    assert "beside the rail's" in capsys.readouterr().out
    record = json.loads((tmp_path / "one" / "training.json").read_text())
    assert (record["kind"], record["data"], record["steps"], record["learning_rate"]) == (kind, "scan", 2, 0.001)
    assert len(record["losses"]) == 2
    assert not (tmp_path / "one.checkpoints").exists()
    materials = gather_materials(load_config(TrainConfig, None, config))
    rows = [row for step in range(2) for row in materials.source.rows(step, 3)]
    assert record["tokens"] >= sum(len(row.prompt) + len(row.answer) for row in rows)
    assert main([f"train-{kind}", "--out", "two", "--learning-rate", "0.001", *config, "seed=1"]) == 0
    assert json.loads((tmp_path / "two" / "training.json").read_text())["tokens"] != record["tokens"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan-bench", "--json", "missing/report.json"], "--json FILE in a folder that exists"),
        (["plan-bench", "--json", "r.json", "--subject", "lora"], "--lora FOLDER"),
        (["plan-bench", "--json", "r.json", "--rail", "run-{seed}"], "--seeds"),
        (["held-out", "--json", "r.json", "--rail", "nowhere"], "expected a rail in nowhere"),
        (["held-out", "--json", "r.json", "--subject", "base", "--model", "./nowhere"], "expected a model folder"),
        (["syntax", "--json", "r.json", "--generations", "0"], "--generations of at least 1"),
        (["train-lora", "--out", "."], "does not exist yet"),
        (["train-full", "--out", "full", "--learning-rate", "0"], "--learning-rate above 0"),
        (["train-full", "--out", "full", "stepz=3"], "steps"),
        (["composition", "--subject", "rail-{seed}"], "--seeds"),
        (["composition", "--subject", "="], "LABEL=FOLDER"),
        (["composition", "--subject", "nowhere", "--splits", "jump"], "addprim_jump"),
        (["composition", "--subject", "nowhere", "--splits", "length", "--commands", "2"], "trained model in nowhere"),
    ],
)
def test_bad_input_is_refused_with_the_option_and_the_fix(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()


@pytest.mark.parametrize("arguments", [["plan-bench"], ["plan-bench", "--json", "r.json", "--subject", "robot"], ["dance"]])
def test_unknown_and_missing_options_end_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
