"""Seven faults that once cost runs, each planted into a run and caught by name, in the way every run is started."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from builderbrain.config import load_config
from builderbrain.errors import BuilderBrainError, DataError, DeadGradientError, GrammarRefusedError
from builderbrain.train.batch import Batch
from builderbrain.train.config import TrainConfig
from builderbrain.train.rows import Row
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer
from tests.hosts.tiny_models import llama, save_model

SMALL = (
    "data=scan", "scan.skins=0", "wrong_steps=0", "batch_size=3", "micro_batches=1", "base_text_rows=1", "evaluation_rows=2",
    "evaluation_every=100", "checkpoint_every=100", "tensorboard=never", "rail.width=16", "rail.head_size=8",
    "rail.num_skills=4", "budget.steps=[0.2]",
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`plant` puts it into a run with `keys`; `refused` is what the run raises, `alarm` what it logs instead."""

    name: str
    plant: Callable[[Trainer], None]
    keys: tuple[str, ...] = ("steps=3",)
    refused: type[BuilderBrainError] | None = None
    alarm: tuple[str, str] = ("", "")
    message: str


def detach_a_block(run: Trainer) -> None:
    run.rail.blocks[0].mlp.register_forward_hook(lambda _module, _inputs, output: output.detach())  # type: ignore[union-attr,operator]


def starve_a_skill(run: Trainer) -> None:
    out_of_reach = torch.tensor([0.0, 0.0, -1e4, 0.0])
    run.rail.router.score.register_forward_hook(lambda _module, _inputs, output: output + out_of_reach)


def spoil_a_batch(run: Trainer) -> None:
    """The weights of step 1's labels are no numbers."""

    class Spoiled:
        def __call__(self, rows: Sequence[Row]) -> Batch:
            batch = run.collate(rows)
            factor = float("nan") if run.state.step == 1 else 1.0
            return replace(batch, weights=batch.weights * factor)

    run.update.collate = Spoiled()  # type: ignore[assignment]


def change_rows(change: Callable[[int, Row], Row | None]) -> Callable[[Trainer], None]:
    """A source whose rows go through `change` (step, row); those that become None are left out."""

    def plant(run: Trainer) -> None:
        original = run.source.rows

        def rows(step: int, count: int) -> list[Row]:
            changed = [change(step, row) for row in original(step, count)]
            return [row for row in changed if row is not None] or original(step, 1)

        run.source.rows = rows  # type: ignore[method-assign]

    return plant


def collapse_concepts(run: Trainer) -> None:
    """Concept vectors to which their goals add next to nothing."""
    run.rail.policy.register_forward_hook(lambda _head, _given, said: replace(said, concept=1.0 + 1e-3 * said.concept))


def of_a_larger_vocabulary(_step: int, row: Row) -> Row:
    return replace(row, prompt=(*row.prompt[:-1], 50_000))


def of_a_shuffled_vocabulary(_step: int, row: Row) -> Row:
    return replace(row, answer=tuple((token + 7) % 256 + 1 for token in row.answer))


def padded_on_the_left(_step: int, row: Row) -> Row:
    return replace(row, prompt=(0, 0, 0, *row.prompt))


def nothing(_run: Trainer) -> None:
    pass


FAULTS = (
    Fault(name="detached block", plant=detach_a_block, refused=DeadGradientError, message=r"blocks\.0\.mlp.*cuts the graph"),
    Fault(name="dead skill", plant=starve_a_skill, keys=("steps=8", "watch.idle_skill=5"), alarm=("dead_skill", "skill 2"),
          message="not taken by any token for 5 steps"),
    Fault(name="NaN batch", plant=spoil_a_batch, alarm=("step_dropped", "loss"),
          message="not finite, so the step changed nothing"),
    Fault(name="wrong vocabulary", plant=change_rows(of_a_larger_vocabulary), refused=DataError,
          message="got 50000; the row was encoded with another vocabulary"),
    Fault(name="shuffled vocabulary", plant=change_rows(of_a_shuffled_vocabulary), refused=GrammarRefusedError,
          message="illegal there; check the tokenisation"),
    Fault(name="left padding", plant=change_rows(padded_on_the_left), refused=DataError, message="padded on the right"),
    Fault(name="shrinking denominator", plant=change_rows(lambda step, row: row if step < 22 else None), keys=("steps=36",),
          alarm=("denominator_shrank", "cfs_energy"), message="a reading over less is not a reading that improved"),
    Fault(name="dual without bound", plant=nothing, keys=("steps=8", "watch.at_cap=6", "constraints.cfs_energy.target=0",
          "constraints.cfs_energy.cap=0.01", "learning_rate=0", "muon_learning_rate=0", "weight_decay=0", "batch_size=8"),
          alarm=("dual_unbounded", "cfs_energy"), message="its reading does not fall"),
    Fault(name="collapsed concepts", plant=collapse_concepts, keys=("steps=2", "evaluation_every=1", "watch.concept_after=1"),
          alarm=("concept_collapse", "concept"), message="a mean cosine of 1.00"),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_caught_by_name(
    fault: Fault, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"model={base}", f"output={tmp_path / 'run'}", *SMALL, *fault.keys]
    run = build_trainer(load_config(TrainConfig, None, arguments))[0]
    fault.plant(run)
    if fault.refused is not None:
        with pytest.raises(fault.refused, match=fault.message):
            run.run()
        return
    run.run()
    rows: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    rung = {(alarm["name"], alarm["subject"]): alarm["message"] for row in rows for alarm in row["alarms"]}
    assert fault.message in rung[fault.alarm]
    assert f"alarm {fault.alarm[0]}, step" in capsys.readouterr().out
    assert {name for name, _ in rung} == {fault.alarm[0]}, "other alarms rang as well"
    if fault.alarm[0] == "step_dropped":
        assert [row["dropped_steps"] for row in rows] == [0, 1, 0]


def test_without_a_fault_nothing_rings(base: Path, tmp_path: Path) -> None:
    arguments = [f"model={base}", f"output={tmp_path / 'run'}", *SMALL, "steps=25", "watch.idle_skill=12"]
    build_trainer(load_config(TrainConfig, None, arguments))[0].run()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [alarm for row in rows for alarm in row["alarms"]] == []
