"""The folder of a run, for all three trainers: one run at a time, never an earlier run's result, and nothing torn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.config import load_config
from builderbrain.errors import CheckpointError, ConfigError, OutputError
from builderbrain.rail.checkpoint import save_rail
from builderbrain.storage import exclusive_lock
from builderbrain.train.__main__ import main
from builderbrain.train.config import TrainConfig
from builderbrain.train.run_folder import LOCK_NAME, RunFolder, check_output
from builderbrain.train.setup import build_trainer
from builderbrain.train.tool_graph.chain_config import ChainTrainConfig
from builderbrain.train.tool_graph.chain_trainer import ChainTrainer
from builderbrain.train.world import decisions
from builderbrain.train.world.config import WorldTrainConfig
from builderbrain.train.world.trainer import WorldTrainer
from tests.data.tool_graph_folder import graph_row, write_folder

SMALL = (
    "data=scan", "scan.skins=0", "wrong_steps=0", "steps=2", "batch_size=2", "micro_batches=1", "base_text_rows=1",
    "evaluation_rows=2", "evaluation_every=2", "checkpoint_every=1", "tensorboard=never", "rail.width=16", "rail.head_size=8",
    "rail.num_skills=4", "budget.steps=[1.0]", "watch.concept_cosine=1",
)  # fmt: skip
Make = Callable[..., Any]


@pytest.fixture(scope="module")
def makers(base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Make]:
    """A function from an output folder and overrides to a trainer, for each kind of run."""
    folder = tmp_path_factory.mktemp("inputs")
    sessions = folder / "decisions.jsonl"
    assert decisions.main(["--output", str(sessions), "--sessions", "16"]) == 0
    rows = [graph_row(str(i), f"find the song {i} and play it", ["find_song", "play_song"]) for i in range(12)]
    graph = write_folder(folder, rows)

    def rail(output: Path, *more: str) -> Any:
        return build_trainer(load_config(TrainConfig, None, [f"model={base}", f"output={output}", *SMALL, *more]))[0]

    def chain(output: Path, *more: str) -> Any:
        keys = (f"tool_graph.rows={graph}", f"output={output}", "tensorboard=never", "batch_size=4", "epochs=1", "width=8",
                "slots=64", "checkpoint_every=1", f"model={base}")  # fmt: skip
        return ChainTrainer(load_config(ChainTrainConfig, None, [*keys, *more]))

    def world(output: Path, *more: str) -> Any:
        keys = (f"data={sessions}", f"output={output}", "batch_size=4", "steps=2", "evaluation_every=9", "checkpoint_every=1",
                "tensorboard=never", "held_out=0.25", "model.width=16", "model.classes=8", "model.hidden=16",
                "loss.rollout_steps=2", "watch.rows=2", "watch.rollout_paths=2")  # fmt: skip
        return WorldTrainer(load_config(WorldTrainConfig, None, [*keys, *more]))

    return {"rail": rail, "chain": chain, "world": world}


@pytest.mark.parametrize("kind", ["rail", "chain", "world"])
def test_a_folder_never_gives_an_earlier_runs_result_and_holds_one_run_at_a_time(
    kind: str, makers: dict[str, Make], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, output = makers[kind], tmp_path / "run"
    with RunFolder(output, "x").held(), pytest.raises(OutputError, match=r"no other run at work in .*choose another output"):
        make(output).run()
    assert {path.name for path in output.iterdir()} == {LOCK_NAME}

    product = make(output).run()
    weights = next(product.glob("*.safetensors"))
    whole = weights.read_bytes()
    assert json.loads((output / "run.json").read_bytes())["seed"] == 0

    weights.write_bytes(whole[:-1])
    capsys.readouterr()
    assert make(output).run() == product
    assert weights.read_bytes() == whole
    printed = capsys.readouterr().out
    assert "not whole, it is saved anew from the last checkpoint" in printed
    assert f"is now {product}.set-aside-1" in printed
    (product / "notes.txt").write_text("mine")  # beside a whole result: no reason to save it again
    make(output).run()
    assert (product / "notes.txt").read_text() == "mine"

    shutil.rmtree(output / "checkpoints")
    with pytest.raises(OutputError, match=f"holds a {product.name} of an earlier run.*choose another output or remove it"):
        make(output, "seed=1").run()
    shutil.rmtree(product)
    with pytest.raises(CheckpointError, match="holds a run with seed=0, but this one has 1"):
        make(output, "seed=1").run()
    (output / "run.json").unlink()
    with pytest.raises(OutputError, match=r"holds a log\.jsonl of an earlier run"):
        make(output).run()


def test_what_a_run_left_before_its_first_checkpoint_is_no_hindrance(makers: dict[str, Make], tmp_path: Path) -> None:
    output = tmp_path / "run"
    makers["world"](output).run()
    whole = (output / "world" / "world.safetensors").read_bytes()
    shutil.rmtree(output / "checkpoints")
    shutil.rmtree(output / "world")
    makers["world"](output).run()
    assert (output / "world" / "world.safetensors").read_bytes() == whole
    assert len((output / "log.jsonl").read_text().splitlines()) == 2


def test_a_folder_of_another_kind_of_run_is_named(makers: dict[str, Make], tmp_path: Path) -> None:
    output = tmp_path / "run"
    makers["world"](output).run()
    for kind, command in (("rail", "train"), ("chain", "train chain")):
        with pytest.raises(CheckpointError, match=f"holds a run of `train world`, but this one is of `{command}`"):
            makers[kind](output).run()


def test_inputs_that_changed_since_the_checkpoint_are_noticed(base: Path, makers: dict[str, Make], tmp_path: Path) -> None:
    rows = [json.dumps({"goal": f"find x{i} in a{i}", "plan": f's1=search(pattern="x{i}",path="a{i}")'}) for i in range(40)]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(rows))
    keys = (f"data={data}", "wrong_steps=0.3")
    makers["rail"](tmp_path / "run", *keys).run()
    data.write_text("\n".join(reversed(rows)))
    with pytest.raises(CheckpointError, match=r"over another content .* of what data names.*put back") as caught:
        makers["rail"](tmp_path / "run", *keys).run()
    assert caught.value.field == "data"
    data.write_text("\n".join(rows))
    makers["rail"](tmp_path / "run", *keys).run()

    first, second = (build_trainer(load_config(TrainConfig, None, [f"model={base}", *SMALL, f"seed={seed}"]))[0].rail
                     for seed in (1, 2))  # fmt: skip
    for kind, started in (("rail", ()), ("chain", ())):
        start = tmp_path / f"start-{kind}"
        save_rail(first, start)
        makers[kind](tmp_path / kind, f"start={start}", *started).run()
        shutil.rmtree(start)
        save_rail(second, start)
        with pytest.raises(CheckpointError, match="what start names"):
            makers[kind](tmp_path / kind, f"start={start}", *started).run()


def test_a_start_that_holds_no_rail_is_refused_before_the_base_is_loaded(makers: dict[str, Make], tmp_path: Path) -> None:
    for kind in ("rail", "chain"):
        with pytest.raises(ConfigError, match=r"expected start=FOLDER of a rail, got .* which holds no config\.json"):
            makers[kind](tmp_path / "run", f"start={tmp_path}", f"model={tmp_path / 'nowhere'}")


def test_a_folder_that_cannot_be_written_is_refused_before_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = tmp_path / "file" / "run"
    with pytest.raises(OutputError, match="could not write to"):
        check_output(nowhere)
    for command in ([], ["--dry-run"], ["chain"], ["world", "data=x"]):
        assert main([*command, f"output={nowhere}"]) == 2
        assert f"error: could not write to {nowhere}" in capsys.readouterr().err
    check_output(tmp_path / "new" / "run")
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_a_dry_run_sees_what_the_run_would_be_refused_for(
    base: Path, makers: dict[str, Make], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    makers["rail"](output).run()
    shutil.rmtree(output / "checkpoints")
    assert main([f"model={base}", "--dry-run", *SMALL, f"output={output}"]) == 2  # an option between overrides
    assert "holds a rail of an earlier run" in capsys.readouterr().err
    assert main(["data=absent.jsonl", "--dry-run", "model=nowhere", f"output={output}"]) == 2
    assert "got 'absent.jsonl'" in capsys.readouterr().err


def test_a_lock_of_a_dead_process_is_no_hindrance(makers: dict[str, Make], tmp_path: Path) -> None:
    output = tmp_path / "run"
    output.mkdir()
    with exclusive_lock(output / LOCK_NAME):
        pass  # the kernel drops it as it does for a process that is killed; the file stays
    assert makers["world"](output).run().is_dir()
