"""Speed, memory and time to the same held-out loss against PEFT's QLoRA.

    OMP_NUM_THREADS=1 python -m benchmarks.qlora --out DIR [--parts speed,curve] [--rounds N] [--steps N] [--dtype D]

Speed and memory: a random 97.6-million-parameter Llama in NF4 on a CPU, the 8B shape in batches of two rows of 2,048 tokens on
CUDA. Both sides' bases compute in the dtype that PEFT's side is quicker in, or in `--dtype`. The curve: the bundled base, real
goals. `--dry-run` does all of it in tiny shapes.
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

from bbkernels.native import cpu_library, native_status
from bbkernels.nf4_linear import native as nf4_native
from benchmarks.qlora.base import SHAPES
from benchmarks.qlora.curve import curves, write_plot
from benchmarks.qlora.race import Place, dtypes, memory, ratios, speed


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Speed, memory and time to the same loss against PEFT's QLoRA")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", default="speed,curve", help="speed (with memory) and curve")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps of each side")
    parser.add_argument("--steps", type=int, default=400, help="steps of the curves")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="of both sides' bases; else what PEFT's is quicker in")
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
        "native_library": native_status("cpu"),
        "processor_multiplies_bfloat16": (library := cpu_library()) is not None and nf4_native.multiplies_bfloat16(library),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }

    def write(name: str, value: dict[str, Any]) -> None:
        (options.out / name).write_text(json.dumps({**about, **value}, indent=1) + "\n")

    parts = options.parts.split(",")
    if "speed" in parts:
        trial = dtypes(shape) if device == "cpu" else {}
        dtype = options.dtype or (min(trial, key=lambda name: trial[name]) if trial else "bfloat16")
        place = Place(shape, device, dtype)
        made = {"shape": vars(SHAPES[shape]), "dtype": dtype, "seconds_by_dtype_of_qlora": trial}
        fast = speed(place, rounds)
        write("speed.json", {**made, "speed": fast})
        held = memory(place, fast["parameters"])
        compared = ratios(fast, held)
        write("speed.json", {**made, "ratios": compared, "speed": fast, "memory_bytes": held})
        print(json.dumps(compared, indent=1))
    if "curve" in parts:
        report = curves(steps, every, lambda value: write("curve.json", value))
        write_plot(report, options.out / "curve.svg")
        print(json.dumps(report["time_to_loss"], indent=1))


if __name__ == "__main__":
    main()
