"""Several processes that are one run: bit-equal to one process, killed and resumed by either, and never left hanging."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.hosts.tiny_models import llama, save_model

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
    return ["-m", "builderbrain.train", f"model={base}", f"output={output}", *RUN, *more]


def environment() -> dict[str, str]:
    """As `torchrun` has it, where every process has one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def started(base: Path, output: Path, *more: str, size: int = 2) -> list[subprocess.Popen[str]]:
    """The processes of a run, with what `torchrun` puts into their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, *arguments(base, output, *more)],
            env=environment()
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
            | {"MASTER_PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]


def finished(processes: list[subprocess.Popen[str]], *, within: float = 200) -> list[tuple[int, str, str]]:
    """Exit status, output and errors of each."""
    found = []
    try:
        for process in processes:
            out, errors = process.communicate(timeout=within)
            found.append((process.returncode, out, errors))
    finally:
        for process in processes:
            process.kill()
    return found


def alone(base: Path, output: Path, *more: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments(base, output, *more)], env=environment(), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr


def outcome(output: Path) -> dict[str, bytes]:
    """Log, checkpoints, rail and events of a run, by file."""
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}


def wait_for(sign: Path, processes: list[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + 200
    while not sign.exists() and time.monotonic() < deadline and all(process.poll() is None for process in processes):
        time.sleep(0.005)


@pytest.fixture(scope="module")
def one(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of one process."""
    output = tmp_path_factory.mktemp("one") / "run"
    alone(base, output)
    return output


def test_two_processes_have_every_byte_of_one_also_when_killed_and_resumed(base: Path, one: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    processes = started(base, output)
    wait_for(output / "checkpoints" / "step_00000003", processes)
    for process in processes:
        process.kill()
    assert [status for status, _, _ in finished(processes)] == [-signal.SIGKILL] * 2
    killed = tmp_path / "killed"
    shutil.copytree(output, killed)

    (first, out, errors), (second, silent, other) = finished(started(base, output))
    assert (first, second) == (0, 0), errors + other
    assert "resumed at step" in out
    assert silent == "", "the second process printed as well"
    assert outcome(output) == outcome(one)
    rows = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(STEPS))
    assert {"cfs_energy", "kl_budget", *EVERY} == {name for row in rows for name in row["constraints"]}

    alone(base, killed)  # what two processes began, one ends
    assert outcome(killed) == outcome(one)
