"""A run whose states are cached: the losses of a run without, also when it is killed, and a log that says what was known."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from builderbrain.config import load_config
from builderbrain.errors import ConfigError
from builderbrain.hosts.cached_states import WIDTH_STEP, CachedStates
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.train.config import TrainConfig
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer
from tests.hosts.tiny_models import llama, save_model

SMALL = (
    "batch_size=4", "base_text_rows=1", "base_text_pool=2", "evaluation_rows=2", "evaluation_every=4", "checkpoint_every=4",
    "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=4", "budget.steps=[1.0]", "micro_batches=2",
    f"width_multiple={WIDTH_STEP}", "steps=8",
)  # fmt: skip
CACHED = ("state_cache.enabled=true", "state_cache.dtype=float32")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty traces, so that eight steps meet most of them again."""
    path = tmp_path_factory.mktemp("data") / "traces.jsonl"
    goals = [goal for goal in islice(REPO_ASSISTANT.goals(0), 60) if goal.plan.count("\n") == 0][:20]
    path.write_text("".join(json.dumps({"goal": goal.text, "plan": goal.plan}) + "\n" for goal in goals))
    return path


def trainer(base: Path, data: Path | str, output: Path, *more: str) -> Trainer:
    keys = [f"model={base}", f"data={data}", f"output={output}", "device=cpu", *SMALL, *more]
    return build_trainer(load_config(TrainConfig, None, keys))[0]


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def losses(output: Path) -> list[tuple[float, ...]]:
    return [tuple(row[key] for key in ("loss", "plan", "policy", "copy", "gradient_norm")) for row in log(output)]


@pytest.fixture(scope="module")
def plain(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of a run without a cache."""
    output = tmp_path_factory.mktemp("plain") / "run"
    trainer(base, data, output).run()
    return output


def test_losses_are_those_of_a_run_without_a_cache(base: Path, data: Path, plain: Path, tmp_path: Path) -> None:
    """Bit-equal before the first update. Then the last bits may differ: the gradient of the skills is summed in groups of
    tokens, and which group a padding token is put into depends on its state, which a cache does not keep."""
    trainer(base, data, tmp_path / "run", *CACHED).run()
    mine, theirs = losses(tmp_path / "run"), losses(plain)
    assert mine[0][:4] == theirs[0][:4]
    assert len(mine) == len(theirs) == 8
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    rates = [row["state_cache"]["hit_rate"] for row in log(tmp_path / "run")]
    assert min(rates) < rates[-1]
    assert rates[-1] > 0.5
    assert all("state_cache" not in row for row in log(plain))


@pytest.mark.parametrize("gib", [1e-6, 2e-4], ids=["nothing is kept", "a few rows are kept"])
def test_whether_a_row_was_kept_changes_no_bit(base: Path, data: Path, tmp_path: Path, gib: float) -> None:
    trainer(base, data, tmp_path / "whole", *CACHED).run()
    trainer(base, data, tmp_path / "run", *CACHED, f"state_cache.memory_gib={gib}").run()
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    rows = [row["state_cache"] for row in log(tmp_path / "run")]
    assert all(row["memory_bytes"] <= gib * 2**30 for row in rows)
    assert (sum(row["hits"] for row in rows) == 0) == (gib < 1e-5)
    assert sum(row["misses"] for row in rows) > 30


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_a_run_that_starts_again_with_a_cold_cache_has_the_losses_of_a_whole_one(
    base: Path, data: Path, tmp_path: Path, kind: str
) -> None:
    keys = ("state_cache.enabled=true", f"state_cache.dtype={kind}")
    trainer(base, data, tmp_path / "whole", *keys).run()
    first = trainer(base, data, tmp_path / "run", *keys)
    for _ in range(4):
        first.train_step()
        first.state.step += 1
    first.save()
    again = trainer(base, data, tmp_path / "run", *keys, f"state_cache.folder={tmp_path}/states")
    again.run()
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")[4:]


def test_a_cached_step_runs_only_norm_and_head(base: Path, data: Path, tmp_path: Path) -> None:
    run = trainer(base, data, tmp_path / "run", *CACHED)
    run.train_step()
    assert isinstance(run.pair.host, CachedStates)
    host = run.pair.host.host
    assert isinstance(host, HuggingFaceHost)
    called: set[str] = set()
    for name, module in host.model.named_modules():
        module.register_forward_hook(lambda _module, _args, _out, name=name: called.add(name))
    values, _ = run.train_step()  # the same step again: all of its rows are known
    assert values["state_cache"]["hit_rate"] == 1.0
    assert called == {"model.norm"}  # the head is read as a plain tensor by the loss
    run.state.step = 5
    run.train_step()
    assert "model.layers.0" in called


def test_generated_goals_never_come_again(base: Path, tmp_path: Path) -> None:
    run = trainer(base, "repo_assistant", tmp_path / "run", *CACHED, "base_text_pool=0")
    for step in range(2):
        run.state.step = step
        assert run.train_step()[0]["state_cache"]["hits"] == 0


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        (["state_cache.memory_gib=-1"], "state_cache.memory_gib"),
        (["state_cache.memory_gib=0", "state_cache.enabled=true"], "state_cache.memory_gib"),
        (["state_cache.disk_gib=0"], "state_cache.disk_gib"),
        (["state_cache.dtype=int4"], "state_cache.dtype"),
        (["state_cache.foldr=x"], "state_cache.foldr"),
        (["base_text_pool=-1"], "base_text_pool"),
        (["width_multiple=0"], "width_multiple"),
    ],
)
def test_mistakes_name_the_key(keys: list[str], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(TrainConfig, None, keys)
    assert caught.value.field == field


def test_a_folder_that_is_a_file_is_named(base: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        trainer(base, data, tmp_path / "run", *CACHED, f"state_cache.folder={tmp_path}/file")
    assert caught.value.field == "state_cache.folder"
