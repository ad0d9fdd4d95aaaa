"""One JSON and one table of what was measured."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
    peers: Mapping[str, Timing] | None = None
    fault: str | None = None

    def floor_seconds(self, floors: Floors) -> float:
        """The time below which no kernel can be."""
        work, rate = (self.case.bytes, floors.copy) if self.case.bound == "bytes" else (self.case.operations, floors.matrix)
        return work / rate

    def share(self, floors: Floors) -> float | None:
        """Floor over time, of the first timing."""
        return self.floor_seconds(floors) / self.timings[0].median if self.timings else None


def environment(device: torch.device) -> dict[str, Any]:
    """Device, driver-facing versions and date; nothing that names a machine."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
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
                "target": row.case.target,
                "share_of_bound": row.share(floors),
                "check": None if row.verdict is None else {**asdict(row.verdict), "right": row.verdict.right},
                "timings": [asdict(timing) for timing in row.timings],
                "peers": {name: asdict(timing) for name, timing in (row.peers or {}).items()},
                "fault": row.fault,
            }
            for row in rows
        ],
    }


def as_table(rows: Sequence[Row], floors: Floors, about: Mapping[str, Any]) -> str:
    """The same as Markdown, for people."""
    lines = [
        f"# Kernels on {about['device']}, {about['date']}",
        "",
        f"Copy {floors.copy / 1e9:,.0f} GB/s, matrix product {floors.matrix / 1e12:,.1f} TFLOP/s, both measured here; "
        + ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        + ". Times are medians in microseconds, the same code timed twice; a peer's number is its time over ours.",
        "",
        "| operation | case | right | us | again | share of bound | target | peers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.fault is not None:
            lines.append(f"| {row.case.operation} | {row.case.name} | **{row.fault}** | - | - | - | - | - |")
            continue
        share = row.share(floors)
        target = row.case.target
        met = "" if target is None or share is None else " (met)" if share >= target else " (missed)"
        ours = row.timings[0].median if row.timings else float("nan")
        peers = ", ".join(f"{name} {timing.median / ours:.2f}" for name, timing in (row.peers or {}).items())
        lines.append(
            f"| {row.case.operation} | {row.case.name} | {'yes' if row.verdict and row.verdict.right else '**no**'} "
            + "".join(f"| {timing.median * 1e6:,.1f} " for timing in row.timings)
            + f"| {f'{share:.0%}' if share is not None else '-'} ({row.case.bound}) "
            + f"| {f'{target:.0%}' if target is not None else '-'}{met} | {peers or '-'} |"
        )
    return "\n".join(lines) + "\n"


def write(folder: Path, value: Mapping[str, Any], table: str) -> None:
    """`accelerator.json` and `accelerator.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "accelerator.json").write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    (folder / "accelerator.md").write_text(table, encoding="utf-8")
