"""Several processes that are one run: bit-equal to one process, killed and resumed by either, and never left hanging."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.hosts.tiny_models import llama, save_model
from tests.train.processes import Command, contents

STEPS = 12
EVERY = ("g2g", "build", "reuse", "param_l1", "calibration", "invariance")
RUN = (
    f"steps={STEPS}", "data=scan", "scan.skins=0.5", "batch_size=6", "micro_batches=3", "base_text_rows=2", "evaluation_rows=2",
    "evaluation_every=3", "checkpoint_every=3", "tensorboard=never", "rail.width=16", "rail.head_size=8", "rail.num_skills=4",
    "budget.steps=[0.2, 1.0]", "rail.plan_nodes=4", "constraints.calibration.lag=1", "constraints.calibration.buffer=3",
    "wrong_steps=0.5", "conflict.method=cagrad", "watch.history=16", "watch.every=4", "rank_timeout=60",
    *(f"constraints.{name}.enabled=true" for name in EVERY),
)  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random base."""
    return save_model(llama(max_position_embeddings=1024), tmp_path_factory.mktemp("base") / "llama")


def arguments(base: Path, output: Path, *more: str) -> list[str]:
    return [f"model={base}", f"output={output}", *RUN, *more]


def started(base: Path, output: Path, *more: str, size: int = 2) -> list[Command]:
    """The processes of a run, with what `torchrun` puts into their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        Command(
            arguments=arguments(base, output, *more),
            folder=output.with_name(f"printed-{port}-{rank}"),
            environment=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]


def alone(base: Path, output: Path, *more: str) -> None:
    command = Command(arguments=arguments(base, output, *more), folder=output.with_name(f"{output.name}-printed"))
    assert command.status() == 0, command.errors


@pytest.fixture(scope="module")
def one(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of one process."""
    output = tmp_path_factory.mktemp("one") / "run"
    alone(base, output)
    return output


@pytest.mark.slow
def test_two_processes_have_every_byte_of_one_also_when_killed_and_resumed(base: Path, one: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    both = started(base, output)
    both[0].wait_until((output / "checkpoints" / "step_00000003").exists)
    for process in both:
        process.signal(signal.SIGKILL)
    assert [process.status() for process in both] == [-signal.SIGKILL] * 2
    killed = tmp_path / "killed"
    shutil.copytree(output, killed)

    first, second = started(base, output)
    assert (first.status(), second.status()) == (0, 0), first.errors + second.errors
    assert "resumed at step" in first.output
    assert second.output == "", "the second process printed as well"
    assert contents(output) == contents(one)
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(STEPS))
    assert {"cfs_energy", "kl_budget", *EVERY} == {name for row in rows for name in row["constraints"]}

    alone(base, killed)  # what two processes began, one ends
    assert contents(killed) == contents(one)


def test_a_lost_process_ends_the_others_with_its_name(base: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    first, second = started(base, output)
    first.wait_until((output / "log.jsonl").exists)
    second.signal(signal.SIGKILL)
    assert first.status(within=60) == 2
    assert "rank 1 of 2 does not answer: it was killed" in first.errors
    assert "the same command" in first.errors
    assert "Traceback" not in first.errors


@pytest.mark.slow
def test_a_process_that_is_stuck_does_not_keep_the_others(base: Path, tmp_path: Path) -> None:
    stuck = tmp_path / "stuck"
    first, second = started(base, stuck, "rank_timeout=5")
    second.wait_until((stuck / "log.jsonl").exists)
    first.signal(signal.SIGSTOP)
    try:
        assert second.status(within=60) == 2
        assert "rank 0 of 2 does not answer" in second.errors
    finally:
        first.signal(signal.SIGKILL)


def test_the_reason_of_a_process_that_gives_up_reaches_the_others(base: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    output.mkdir()
    (output / "checkpoints").write_text("no folder")  # which the first process alone writes
    first, second = started(base, output)
    assert (first.status(), second.status()) == (2, 2)
    assert f"could not write to {output}" in first.errors
    assert f"rank 0 of 2 left the run: could not write to {output}" in second.errors
    assert "Traceback" not in first.errors + second.errors


def test_more_processes_than_parts_are_refused(base: Path, tmp_path: Path) -> None:
    both = started(base, tmp_path / "run", "micro_batches=1")
    assert [process.status() for process in both] == [2, 2]
    assert all("micro_batches >= 2" in process.errors for process in both)
