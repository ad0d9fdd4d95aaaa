"""Measurements of whole bases, run by name: `decode_step` and `serving`. Each writes `NAME.json` and `NAME.md`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.accelerator import decode_step, serving
from benchmarks.accelerator.case import Scale
from benchmarks.accelerator.floors import Floors, measure_floors
from benchmarks.accelerator.report import environment


def run(out: Path, scale: Scale, names: Sequence[str], shapes: tuple[str, ...]) -> int:
    """Measure the sections named; 1 when a captured pass was refused on a device that should take it, else 0."""
    device = torch.device("cuda" if scale == "accelerator" else "cpu")
    floors = measure_floors(device, scale)
    refused = False
    for name in names:
        begin, rows = time.monotonic(), []
        measured = (
            decode_step.measure(scale, floors, shapes, device)
            if name == "decode_step"
            else serving.measure(scale, shapes, device)
        )
        for row in measured:
            rows.append(row)
            about = {**environment(device), "scale": scale, "seconds": round(time.monotonic() - begin, 1)}
            _write(out, name, rows, floors, about)  # after every row: what was measured is kept when the next one fails
        refused |= scale == "accelerator" and any(row["refusal"] for row in rows)
        print((out / f"{name}.md").read_text(encoding="utf-8"))
    return int(refused)


def _write(out: Path, name: str, rows: list[dict[str, Any]], floors: Floors, about: dict[str, Any]) -> None:
    title = {"decode_step": "Decode steps", "serving": "Serving"}[name]
    table = decode_step.as_table(rows) if name == "decode_step" else serving.as_table(rows)
    note = [] if about["scale"] == "accelerator" else ["**On a CPU, with a tiny base: these times mean nothing.**", ""]
    head = [
        f"# {title} on {about['device']}, {about['date']}",
        "",
        *note,
        f"Copy {floors.copy / 1e9:,.0f} GB/s, measured here.",
        "",
    ]
    (out / f"{name}.md").write_text("\n".join([*head, *table, ""]), encoding="utf-8")
    found = {"environment": about, "copy_bytes_per_second": floors.copy, "rows": rows}
    (out / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
