"""A run on a tiny base: resuming is bit-equal, torn checkpoints are passed over, dead gradients refuse to start."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.config import load_config
from builderbrain.errors import CheckpointError, ConfigError, DeadGradientError
from builderbrain.rail.trunk import is_of_skills
from builderbrain.storage import read_verified_directory
from builderbrain.train.__main__ import farewell
from builderbrain.train.boot import check_gradient_flow
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer
from tests.hosts.tiny_models import llama, save_model

SMALL = (
    "batch_size=4", "base_text_rows=1", "evaluation_rows=4", "evaluation_every=3", "checkpoint_every=3", "tensorboard=never",
    "rail.width=16", "rail.head_size=8", "rail.num_skills=4", "budget.steps=[0.2, 1.0]",
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


def trainer(base: Path, output: Path, *more: str) -> Trainer:
    config = load_config(TrainConfig, None, [f"model={base}", f"output={output}", "steps=8", *SMALL, *more])
    return build_trainer(config)[0]


def losses(output: Path) -> list[tuple[int, float, float]]:
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [(row["step"], row["plan"], row["loss"]) for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run that nothing disturbed, in a process of its own."""
    output = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(base, output), check=True, timeout=400, capture_output=True)
    return output


def command(base: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "builderbrain.train", f"model={base}", f"output={output}", "steps=8", *SMALL]


def kill_once_there_is(sign: Path, base: Path, output: Path) -> None:
    """Start a run and kill it when `sign` exists. A run that was through before anyone looked is started afresh."""
    deadline = time.monotonic() + 400
    for _ in range(5):
        process = subprocess.Popen(command(base, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not sign.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
        if process.wait(timeout=60) == -signal.SIGKILL:
            return
        shutil.rmtree(output)
    pytest.fail("the run was over before it could be killed, five times")


def test_the_rail_says_what_it_was_trained_on(uninterrupted: Path) -> None:
    """For `gate trace` and `gate diff`: step, seed, configuration, data and multipliers."""
    information = read_verified_directory(uninterrupted / "rail").information
    assert information["kind"] == "rail"
    assert information["step"] == 8
    assert len(information["config_sha256"]) == 64
    assert information["data"]["name"]
    assert information["duals"]
    assert all(isinstance(value, float) for value in information["duals"].values())


def test_a_killed_run_goes_on_bit_equal(base: Path, uninterrupted: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    kill_once_there_is(output / "log.jsonl", base, output)
    kill_once_there_is(output / "checkpoints", base, output)
    subprocess.run(command(base, output), check=True, timeout=400, capture_output=True)
    assert losses(output) == losses(uninterrupted)
    assert (output / "rail" / "rail.safetensors").read_bytes() == (uninterrupted / "rail" / "rail.safetensors").read_bytes()


def test_a_torn_checkpoint_is_passed_over(
    base: Path, uninterrupted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "run"
    trainer(base, output).run()
    newest = max((output / "checkpoints").iterdir())
    state = newest / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1])
    again = trainer(base, output)
    again.resume()
    assert again.state.step == 6
    assert "passed over" in caplog.text
    assert "torn" in caplog.text


def test_another_configuration_in_the_same_folder_is_refused(base: Path, uninterrupted: Path) -> None:
    with pytest.raises(CheckpointError, match="learning_rate=") as caught:
        trainer(base, uninterrupted, "learning_rate=0.5").run()
    assert caught.value.field == "learning_rate"


def test_training_leaves_every_bit_of_the_base_alone_and_without_gradient(base: Path, tmp_path: Path) -> None:
    run = trainer(
        base, tmp_path / "run", "steps=200", "batch_size=2", "micro_batches=2", "evaluation_every=50", "checkpoint_every=200"
    )
    model = run.pair.host.model  # type: ignore[attr-defined]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run.run()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


def test_every_trainable_parameter_gets_a_gradient_and_a_cut_graph_is_refused(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run")
    batch = run.collate(run.source.rows(0, 8))
    check_gradient_flow(run.pair, batch)
    rail = run.pair.rail
    assert rail is not None
    rail.blocks[0].mlp.register_forward_hook(lambda _module, _args, output: output.detach())  # type: ignore[union-attr,operator]
    with pytest.raises(DeadGradientError, match=r"blocks\.0\.mlp"):
        check_gradient_flow(run.pair, batch)


def test_a_file_of_traces_trains_without_clause_labels(base: Path, tmp_path: Path) -> None:
    lines = [
        json.dumps({"goal": f"find x{i} in a{i}", "plan": f's1=search(pattern="x{i}",path="a{i}")', "intent": "search_under",
                    "pattern": f"x{i}", "path": f"a{i}"})
        for i in range(40)
    ]  # fmt: skip
    (tmp_path / "traces.jsonl").write_text("\n".join(lines))
    run = trainer(base, tmp_path / "run", f"data={tmp_path / 'traces.jsonl'}", "steps=4")
    assert (run.run() / "rail.safetensors").is_file()


def test_a_loss_that_is_not_finite_changes_nothing_and_five_in_a_row_stop_the_run(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run")
    before = {name: tensor.clone() for name, tensor in run.rail.state_dict().items()}

    for _ in range(4):
        run.update.move(math.nan, 1.0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.rail.state_dict().items())
    with pytest.raises(Exception, match="not finite 5 steps in a row"):
        run.update.move(math.nan, 1.0)


def test_the_loss_falls(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run", "steps=40", "budget.steps=[1.0]", "learning_rate=0.03", "evaluation_every=100")
    run.run()
    rows = losses(tmp_path / "run")
    first, last = (sum(plan for _, plan, _ in part) / 5 for part in (rows[:5], rows[-5:]))
    assert last < 0.8 * first


def test_the_command_line_names_the_mistake(base: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (["stepz=3"], "did you mean steps"),
        ([f"model={tmp_path / 'nowhere'}"], "nowhere"),
        ([f"model={base}", "data=missing.jsonl"], "JSONL"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "builderbrain.train", *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_an_interrupted_run_says_what_is_saved(uninterrupted: Path, tmp_path: Path) -> None:
    assert farewell(None) == farewell(tmp_path / "early") == "stopped before the first checkpoint; the same command starts anew"
    assert farewell(uninterrupted) == "stopped; the same command goes on from the checkpoint of step 8"


CONFLICTS = ("conflict.window=2", "conflict.threshold=0", "watch.history=16", "watch.every=2", "constraints.kl_budget.nu=0.5",
             "constraints.cfs_energy.normaliser=rank", "constraints.kl_budget.normaliser=winsorised")  # fmt: skip


@pytest.mark.parametrize("method", ["pcgrad", "cagrad"])
def test_a_run_with_every_window_goes_on_bit_equal(base: Path, tmp_path: Path, method: str) -> None:
    keys = (*CONFLICTS, f"conflict.method={method}", "constraints.kl_budget.target=0.0")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    trainer(base, whole, *keys).run()
    started = trainer(base, cut, *keys)
    while started.state.step < 3:
        started.train_step()
        started.state.step += 1
    started.evaluate()
    started.save()
    trainer(base, cut, *keys).run()
    assert (cut / "rail" / "rail.safetensors").read_bytes() == (whole / "rail" / "rail.safetensors").read_bytes()
    rows, again = (
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()][-5:] for folder in (whole, cut)
    )
    assert rows == again
    assert any(weight != 1.0 for row in rows for weight in row["conflict"]["weights"].values())


def test_measuring_conflict_changes_nothing_and_is_logged(base: Path, uninterrupted: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    trainer(base, output, "conflict.method=scalarised", "conflict.window=2", "conflict.threshold=0").run()
    assert losses(output) == losses(uninterrupted)
    assert (output / "rail" / "rail.safetensors").read_bytes() == (uninterrupted / "rail" / "rail.safetensors").read_bytes()
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert all(-1.001 <= cosine <= 1.001 for row in rows for cosine in row["conflict"]["cosines"].values())
    assert "plan|copy" in rows[-1]["conflict"]["cosines"]
    assert {"answer_length", "refused"} <= set(rows[-1]["ease"])
    alarms = {alarm["name"] for row in rows for alarm in row["alarms"]}
    assert alarms <= {"gradient_conflict"}
    assert not any("conflict" in json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines())


def test_losses_without_labels_take_no_part_in_a_conflict(base: Path, tmp_path: Path) -> None:
    run = trainer(base, tmp_path / "run", "data=scan", "wrong_steps=0", "conflict.method=cagrad")
    for run.state.step in range(2):  # what leaves a new rail is zero, and so are the gradients behind it
        conflict = run.train_step()[0]["conflict"]
    assert any(pair.startswith("plan|") for pair in conflict["cosines"])
    assert not any("labels" in pair or "pins" in pair for pair in conflict["cosines"])


def test_a_target_that_cannot_be_reached_alarms_by_name(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = ("constraints.cfs_energy.target=0", "constraints.cfs_energy.cap=0.01", "learning_rate=0", "muon_learning_rate=0")
    trainer(base, tmp_path / "run", *keys, "watch.at_cap=6", "weight_decay=0", "batch_size=8").run()
    alarms = [
        alarm for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines() for alarm in json.loads(line)["alarms"]
    ]
    assert [alarm["name"] for alarm in alarms] == ["dual_unbounded"]
    assert "alarm dual_unbounded, step" in capsys.readouterr().out


def test_skills_alone_learn_another_domain_over_a_trained_trunk(base: Path, uninterrupted: Path, tmp_path: Path) -> None:
    other = (f"start={uninterrupted}/rail", "start_skills=new", "rail.proposal_rank=2", "data=scan", "wrong_steps=0")
    run = trainer(base, tmp_path / "skills", "trainable=skills", *other)
    before = {name: tensor.clone() for name, tensor in run.rail.state_dict().items()}
    run.run()
    moved = {name for name, tensor in run.rail.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved
    assert all(is_of_skills(name) for name in moved), sorted(moved)
    whole = losses(tmp_path / "skills")
    halted = trainer(base, tmp_path / "again", "trainable=skills", *other)
    halted.config = replace(halted.config, steps=3)
    halted.run()
    shutil.rmtree(tmp_path / "again" / "rail")
    trainer(base, tmp_path / "again", "trainable=skills", *other).run()
    assert losses(tmp_path / "again") == whole


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainable=skills",), "start=FOLDER"),
        (("start_skills=new",), "start=FOLDER"),
        (("start={rail}", "data=scan"), "start_skills=new"),
        (("start={rail}", "trainable=skills", "conflict.method=pcgrad"), "conflict.method"),
    ],
)
def test_a_start_that_cannot_be_is_refused_by_name(
    overrides: tuple[str, ...], message: str, base: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        trainer(base, tmp_path, *(override.format(rail=uninterrupted / "rail") for override in overrides))
