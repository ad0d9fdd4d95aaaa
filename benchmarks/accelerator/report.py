"""One JSON and one table of what was measured."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from benchmarks.accelerator.case import Case
from benchmarks.accelerator.check import Verdict
from benchmarks.accelerator.floors import Floors
from benchmarks.accelerator.timing import Timing

_PACKAGES = ("torch", "triton", "transformers", "bitsandbytes", "xgrammar", "liger-kernel", "cut-cross-entropy", "flash-attn",
             "flashinfer-python")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """A case, whether it was right, its time (taken twice), that of its peers, and a fault that ended it early."""

    case: Case
    verdict: Verdict | None = None
    timings: tuple[Timing, ...] = ()
    peers: Mapping[str, Timing | str] = field(default_factory=dict)
    """By name: the time, or why there is none."""
    fault: str | None = None

    def floor_seconds(self, floors: Floors) -> float | None:
        """The time below which no kernel can be; None for a case without a bound."""
        if self.case.bound is None:
            return None
        work, rate = (self.case.bytes, floors.copy) if self.case.bound == "bytes" else (self.case.operations, floors.matrix)
        return work / rate

    def share(self, floors: Floors) -> float | None:
        """Floor over time, of the first timing."""
        floor = self.floor_seconds(floors)
        return None if floor is None or not self.timings else floor / self.timings[0].median

    def times(self) -> dict[str, float]:
        """Each peer's time over ours."""
        if not self.timings:
            return {}
        ours = self.timings[0].median
        return {name: peer.median / ours for name, peer in self.peers.items() if isinstance(peer, Timing)}

    def memory(self) -> dict[str, float]:
        """Our extra memory over each peer's."""
        ours = self.timings[0].extra_bytes if self.timings else None
        if ours is None:
            return {}
        return {
            name: ours / peer.extra_bytes for name, peer in self.peers.items() if isinstance(peer, Timing) and peer.extra_bytes
        }

    def targets(self, floors: Floors) -> list[tuple[str, bool]]:
        """What was aimed at and could be judged here, and whether it is reached."""
        share, times, memory = self.share(floors), self.times(), self.memory()
        judged = []
        if self.case.target is not None and share is not None:
            judged.append((f"{self.case.target:.0%} of the bound", share >= self.case.target))
        judged += [(f"{least:.2g}x {name}", times[name] >= least) for name, least in self.case.beats.items() if name in times]
        judged += [
            (f"{most:.0%} of the memory of {name}", memory[name] <= most)
            for name, most in self.case.lean.items()
            if name in memory
        ]
        return judged


def environment(device: torch.device) -> dict[str, Any]:
    """Device, driver-facing versions and date; nothing that names a machine."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": versions,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def as_json(rows: Sequence[Row], floors: Floors, about: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, for machines."""
    return {
        "environment": dict(about),
        "floors": asdict(floors),
        "cases": [
            {
                "operation": row.case.operation,
                "name": row.case.name,
                "bytes": row.case.bytes,
                "operations": row.case.operations,
                "bound": row.case.bound,
                "targets": [{"target": target, "met": met} for target, met in row.targets(floors)],
                "share_of_bound": row.share(floors),
                "check": None if row.verdict is None else {**asdict(row.verdict), "right": row.verdict.right},
                "timings": [asdict(timing) for timing in row.timings],
                "peers": {name: peer if isinstance(peer, str) else asdict(peer) for name, peer in row.peers.items()},
                "fault": row.fault,
            }
            for row in rows
        ],
    }


def as_table(rows: Sequence[Row], floors: Floors, about: Mapping[str, Any]) -> str:
    """The same as Markdown, for people."""
    rehearsal = "**A rehearsal on a CPU: the kernels were interpreted, and the times mean nothing.**"
    lines = [
        *([rehearsal, ""] if about.get("scale") == "rehearsal" else []),
        f"# Kernels on {about['device']}, {about['date']}",
        "",
        f"Copy {floors.copy / 1e9:,.0f} GB/s, matrix product {floors.matrix / 1e12:,.1f} TFLOP/s, both measured here; "
        + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        + ". Times are medians in microseconds, the same code timed twice; a peer's number is its time over ours, and behind "
        "the slash our extra memory over its own.",
        "",
        "| operation | case | right | us | again | share of bound | targets | peers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.fault is not None:
            lines.append(f"| {row.case.operation} | {row.case.name} | **{row.fault}** | - | - | - | - | - |")
            continue
        share = row.share(floors)
        targets = "; ".join(f"{target} {'met' if met else '**missed**'}" for target, met in row.targets(floors))
        lines.append(
            f"| {row.case.operation} | {row.case.name} | {'yes' if row.verdict and row.verdict.right else '**no**'} "
            + "".join(f"| {_microseconds(timing, about)} " for timing in row.timings)
            + f"| {'-' if share is None else f'{share:.0%} ({row.case.bound})'} | {targets or '-'} | {_peers(row)} |"
        )
    return "\n".join([*lines, *_above(rows, floors)]) + "\n"


def _above(rows: Sequence[Row], floors: Floors) -> list[str]:
    """Why a share of a bound is above 100 %, where one is."""
    reasons = {
        "bytes": "the bound is the rate of a copy that no cache holds, and inputs of a case this small stay in caches between "
        "repeats",
        "matrix": "the bound is the rate of one square product, and products of other shapes or sizes are quicker",
    }
    kinds = {row.case.bound for row in rows if row.fault is None and (row.share(floors) or 0.0) > 1.0}
    return ["", *(f"Above 100 % ({kind}): {reason}." for kind, reason in reasons.items() if kind in kinds)] if kinds else []


def _microseconds(timing: Timing, about: Mapping[str, Any]) -> str:
    """On a GPU with a note where the host's launches are in the time."""
    launched = about.get("scale") == "accelerator" and not timing.graph
    return f"{timing.median * 1e6:,.1f}{' (launched one by one)' if launched else ''}"


def _peers(row: Row) -> str:
    """Every peer's time over ours, or why it has none."""
    times, memory = row.times(), row.memory()
    said = []
    for name, peer in row.peers.items():
        if isinstance(peer, str):
            said.append(f"{name}: {peer}")
        else:
            said.append(f"{name} {times[name]:.2f}" + (f" / {memory[name]:.2f}" if name in memory else ""))
    return ", ".join(said) or "-"


def write(folder: Path, value: Mapping[str, Any], table: str) -> None:
    """`accelerator.json` and `accelerator.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accelerator.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    (folder / "accelerator.md").write_text(table, encoding="utf-8")
