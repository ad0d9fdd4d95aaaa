"""One side in a process of its own: `python -m benchmarks.qlora.worker SIDE ...`, told what to do line by line.

`step` makes a step; `memory` makes two and tells the most memory that was held; each answer is one line of JSON. On a CPU the
memory is measured twice, in different processes: the peak of the resident set (all that training takes, buffers of libraries
and fragmentation too; it grows by pages) and the peak of what PyTorch's allocator holds (the profiler sees every allocation).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.qlora.base import SHAPES
from benchmarks.qlora.sides import Load, Side, build

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("side")
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), required=True)
    parser.add_argument("--parameters", type=int, default=0)
    parser.add_argument("--one-part", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    load = Load(shape=SHAPES[options.shape], dtype=getattr(torch, options.dtype), one_part=options.one_part)
    side = build(options.side, load, device, options.parameters)
    answer({"trainable": side.trainable, "rank": getattr(side, "rank", None)})
    for line in sys.stdin:
        command = line.strip()
        if command == "step":
            answer(timed(side, device))
        elif command == "resident":
            answer(resident(side))
        elif command == "allocated":
            answer(allocated(side, device))
        else:
            break


def answer(value: dict[str, Any]) -> None:
    """One line to whoever asked."""
    print("answer " + json.dumps(value), flush=True)


def timed(side: Side, device: torch.device) -> dict[str, Any]:
    """Seconds of one step: of the processor on a CPU (others may use the core as well), of the clock on a GPU."""
    started, spent = time.perf_counter(), time.process_time()
    loss = side.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    clock, processor = time.perf_counter() - started, time.process_time() - spent
    log = getattr(side, "log", {})
    return {
        "seconds": clock if device.type == "cuda" else processor,
        "clock": clock,
        "loss": loss,
        "state_cache": log.get("state_cache"),
    }


def resident(side: Side) -> dict[str, Any]:
    """Peak of the resident set over two steps above what the process held before, trained weights included."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    held = _status("VmRSS")
    _RESET.write_text("5")  # the peak starts again from here
    side.step()
    side.step()
    return {"bytes": _status("VmHWM") - held + 4 * side.trainable, "before": held}


def allocated(side: Side, device: torch.device) -> dict[str, Any]:
    """Peak of PyTorch's allocator over two steps above what it held before, trained weights included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        side.step()
        side.step()
        return {"bytes": torch.cuda.max_memory_allocated() - held + 4 * side.trainable, "before": held}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        side.step()
        side.step()
    results: Any = profile.profiler.kineto_results  # type: ignore[union-attr]
    events = sorted((event.start_ns(), event.nbytes()) for event in results.events() if event.name() == "[memory]")
    held = peak = 0
    for _, size in events:
        held += size
        peak = max(peak, held)
    return {"bytes": peak + 4 * side.trainable, "events": len(events)}


def _status(name: str) -> int:
    """Bytes of a line of the process's status."""
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main()
