"""Speed, memory and time to the same held-out loss against PEFT's QLoRA.

    OMP_NUM_THREADS=1 python -m benchmarks.qlora --out DIR [--parts speed,memory,curve] [--rounds N] [--steps N] [--dry-run]

Speed and memory: a random 97.6-million-parameter Llama in NF4 on a CPU, the 8B shape in batches of two rows of 2,048 tokens on
CUDA. The curve: the bundled base, real goals. `--dry-run` does all of it in tiny shapes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.qlora.base import SHAPES
from benchmarks.qlora.curve import curves, write_plot
from benchmarks.qlora.race import dtypes, memory, ratios, speed


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Speed, memory and time to the same loss against PEFT's QLoRA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", default="speed,curve", help="speed (with memory) and curve")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps of each side")
    parser.add_argument("--steps", type=int, default=400, help="steps of the curves")
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes: whether everything runs, no figures")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = "tiny" if options.dry_run else "8b" if device == "cuda" else "cpu"
    rounds, steps, every = (1, 2, 1) if options.dry_run else (options.rounds, options.steps, 10)
    options.out.mkdir(parents=True, exist_ok=True)
    about = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "threads": 1,
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }

    def write(name: str, value: dict[str, Any]) -> None:
        (options.out / name).write_text(json.dumps({**about, **value}, indent=1) + "\n")

    parts = options.parts.split(",")
    if "speed" in parts:
        fast = speed(shape, device, rounds)
        write("speed.json", {"shape": vars(SHAPES[shape]), "speed": fast})
        held = memory(shape, device, fast["parameters"])
        compared = ratios(fast, held)
        trial = dtypes(shape, device, fast["parameters"]) if device == "cpu" else {}
        found = {"ratios": compared, "speed": fast, "memory_bytes": held, "seconds_by_dtype_of_qlora": trial}
        write("speed.json", {"shape": vars(SHAPES[shape]), **found})
        print(json.dumps(compared, indent=1))
    if "curve" in parts:
        report = curves(steps, every, lambda value: write("curve.json", value))
        write_plot(report, options.out / "curve.svg")
        print(json.dumps(report["time_to_loss"], indent=1))


if __name__ == "__main__":
    main()
