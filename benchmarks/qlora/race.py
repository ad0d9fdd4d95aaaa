"""Speed and memory of all sides: each in a process of its own, stepping in turn, so that all see the same machine."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.qlora.base import SHAPES

SIDES = ("governed", "governed-pool", "cached", "qlora", "qlora-checkpointing")
TRIAL_PARAMETERS = 1_600_000
"""About what a side trains, for the choice of a dtype."""


@dataclass(frozen=True)
class Place:
    """Where and in what the sides run: name of a shape, device, dtype of the base."""

    shape: str
    device: str
    dtype: str


class Worker:
    """A side in its process; one line out, one line in."""

    def __init__(self, side: str, place: Place, parameters: int, *, one_part: bool = False) -> None:
        command = [sys.executable, "-m", "benchmarks.qlora.worker", side, "--shape", place.shape, "--device", place.device]
        command += ["--dtype", place.dtype, "--parameters", str(parameters), *(["--one-part"] if one_part else [])]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.hello = self._read()

    def ask(self, command: str) -> dict[str, Any]:
        """The answer to a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("answer "):
                value: dict[str, Any] = json.loads(line.removeprefix("answer "))
                return value
        raise RuntimeError(f"expected an answer, got the end of the process ({self._process.wait()})")


def speed(place: Place, rounds: int) -> dict[str, Any]:
    """Seconds of every step; the first round warms up, and is the cached side's first epoch."""
    goals = SHAPES[place.shape].rows * SHAPES[place.shape].tokens
    first = Worker("governed", place, 0)
    parameters = first.hello["trainable"]
    # On a GPU one after another, or their memories would add up; there the clock does not depend on who else is busy.
    together = place.device == "cpu"
    workers = {"governed": first}
    steps: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    hellos = {}
    if together:
        workers |= {side: Worker(side, place, parameters) for side in SIDES[1:]}
        for _ in range(rounds + 1):
            for side, worker in workers.items():
                steps[side].append(worker.ask("step"))
                print(f"{side:20} {steps[side][-1]['seconds']:7.2f} s", flush=True)
        for side, worker in workers.items():
            hellos[side] = worker.hello
            worker.close()
    else:
        for side in SIDES:
            worker = first if side == "governed" else Worker(side, place, parameters)
            steps[side] = [worker.ask("step") for _ in range(rounds + 1)]
            hellos[side] = worker.hello
            worker.close()
    sides = {}
    for side in SIDES:
        seconds = [step["seconds"] for step in steps[side][1:]]
        sides[side] = {
            **hellos[side],
            "seconds": seconds,
            "first_step_seconds": steps[side][0]["seconds"],
            "tokens_per_second": goals / statistics.median(seconds),
            "losses": [step["loss"] for step in steps[side]],
            "state_cache": steps[side][-1]["state_cache"],
        }
    return {"parameters": parameters, "tokens_per_step": goals, "sides": sides}


def dtypes(shape: str) -> dict[str, float]:
    """Seconds of one part on PEFT's side in either dtype on a CPU: the quicker one is what both sides are measured in."""
    found = {}
    for dtype in ("float32", "bfloat16"):
        worker = Worker("qlora", Place(shape, "cpu", dtype), TRIAL_PARAMETERS, one_part=True)
        worker.ask("step")
        found[dtype] = min(worker.ask("step")["seconds"] for _ in range(2))
        worker.close()
    return found


def memory(place: Place, parameters: int) -> dict[str, Any]:
    """Peaks of one part's step above the base; each in a process of its own."""
    kinds = ("resident", "allocated") if place.device == "cpu" else ("allocated",)
    found: dict[str, Any] = {}
    for side in SIDES:
        found[side] = {}
        for kind in kinds:
            worker = Worker(side, place, parameters, one_part=True)
            found[side][kind] = worker.ask(kind)["bytes"]
            worker.close()
        print(f"{side:20} {' '.join(f'{kind} {size / 2**20:.0f} MiB' for kind, size in found[side].items())}", flush=True)
    return found


def ratios(fast: dict[str, Any], held: dict[str, Any]) -> dict[str, float]:
    """What the targets are about."""
    rate = {side: value["tokens_per_second"] for side, value in fast["sides"].items()}
    best = rate["qlora"]
    cached = fast["sides"]["cached"]
    out = {
        "tokens_per_second_with_text_from_a_pool_over_qlora": rate["governed-pool"] / best,
        "tokens_per_second_with_text_from_a_pool_over_qlora_with_checkpointing": (
            rate["governed-pool"] / rate["qlora-checkpointing"]
        ),
        "tokens_per_second_over_qlora": rate["governed"] / best,
        "tokens_per_second_over_qlora_with_checkpointing": rate["governed"] / rate["qlora-checkpointing"],
        "cached_over_first_epoch": statistics.median(fast["sides"]["governed"]["seconds"])
        / statistics.median(cached["seconds"]),
        "cached_over_qlora": rate["cached"] / best,
        "cached_over_qlora_with_checkpointing": rate["cached"] / rate["qlora-checkpointing"],
    }
    for kind in held["governed"]:
        mine = held["governed"][kind]
        out[f"{kind}_memory_of_qlora"] = mine / held["qlora"][kind]
        out[f"{kind}_memory_of_qlora_with_checkpointing"] = mine / held["qlora-checkpointing"][kind]
    return out
