"""A run of the report: every case checked, timed and written down, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import torch

from benchmarks.accelerator.case import Case, Function, Inputs, Scale
from benchmarks.accelerator.check import check
from benchmarks.accelerator.floors import measure_floors
from benchmarks.accelerator.report import Row, as_json, as_table, environment, write
from benchmarks.accelerator.timing import Timing, held_bytes, measure, rotations


def run(out: Path, scale: Scale, only: Collection[str]) -> int:
    """Check and measure all cases of a scale, or those of the operations named; 1 when one was wrong or failed, else 0."""
    if scale == "rehearsal":
        os.environ["TRITON_INTERPRET"] = "1"
    from benchmarks.accelerator.cases import all_cases  # brings the operations, which look at the environment

    device = torch.device("cuda" if scale == "accelerator" else "cpu")
    begin = time.monotonic()
    cases = [case for case in all_cases(scale) if not only or case.operation in only]
    floors = measure_floors(device, scale)
    rows: list[Row] = []
    table = ""
    for case in cases:
        if scale == "rehearsal":
            os.environ["TRITON_INTERPRET"] = "1" if case.interpreted else "0"
        rows.append(_measure(case, device))
        seconds = time.monotonic() - begin
        print(f"{seconds:6.1f} s  {case.operation}, {case.name}: {rows[-1].fault or 'measured'}", flush=True)
        # After every case: what was measured is kept when the next one ends the process, or somebody does.
        about = {**environment(device), "scale": scale, "seconds": round(seconds, 1)}
        table = as_table(rows, floors, about)
        write(out, as_json(rows, floors, about), table)
    print(table)
    wrong = [row for row in rows if row.fault is not None or row.verdict is None or not row.verdict.right]
    return 1 if wrong else 0


def _measure(case: Case, device: torch.device) -> Row:
    """A row of the report; a case that fails is a row too, and the next one goes on."""
    try:
        generator = torch.Generator(device=device).manual_seed(0)
        inputs = case.make(device, generator)
        verdict = check(case, inputs)
        count = 1 if case.bound is None else rotations(held_bytes(inputs), device)
        sets = [inputs, *(case.make(device, generator) for _ in range(count - 1))]
        timings = tuple(measure(case.run, sets, device) for _ in range(2))
        peers = {name: _measure_peer(function, sets, device) for name, function in case.peers.items()}
    except Exception as error:  # noqa: BLE001 - the report says which kernel failed and how
        return Row(case=case, fault=_told(error))
    fault = None if verdict.right else f"wrong: error {verdict.error:.2e}, allowed {verdict.allowed:.2e}"
    return Row(case=case, verdict=verdict, timings=timings, peers=peers, fault=fault)


def _measure_peer(function: Function, sets: Sequence[Inputs], device: torch.device) -> Timing | str:
    """Its time, or how it failed: another package's error is told and says nothing about ours."""
    try:
        return measure(function, sets, device)
    except Exception as error:  # noqa: BLE001 - see above
        return _told(error)


def _told(error: Exception) -> str:
    first = str(error).splitlines()[:1]
    return ": ".join([type(error).__name__, *first])[:200].replace("|", "/")
