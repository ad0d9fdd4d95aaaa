"""Speed, memory and time to the same held-out loss against PEFT's QLoRA.

    OMP_NUM_THREADS=1 python -m benchmarks.qlora --out DIR [--parts speed,curve] [--rounds N] [--steps N] [--dtype D]

Speed and memory: a random 97.6-million-parameter Llama in NF4 on a CPU, the 8B shape in batches of two rows of 2,048 tokens on
CUDA. Both sides' bases compute in the dtype that PEFT's side is quicker in, or in `--dtype`. The curve: the bundled base, real
goals. `--dry-run` does all of it in tiny shapes and writes nothing that
stays.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from bbkernels.native import cpu_library, native_status
from bbkernels.nf4_linear import native as nf4_native
from benchmarks.qlora.base import SHAPES
from benchmarks.qlora.curve import curves, write_plot
from benchmarks.qlora.race import Place, dtypes, memory, ratios, speed
from builderbrain.errors import BuilderBrainError

PARTS = ("speed", "curve")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 0 done, 2 refused with a reason."""
    options = _options(arguments)
    try:
        if options.dry_run:
            print(f"rehearsing {' and '.join(options.parts)} in tiny shapes; {options.out} is left alone", flush=True)
            with tempfile.TemporaryDirectory() as folder:
                _measure(options, Path(folder))
        else:
            options.out.mkdir(parents=True, exist_ok=True)
            _measure(options, options.out)
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: could not write to {options.out}: {error.strerror or error}; choose another --out", file=sys.stderr)
        return 2
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed, memory and time to the same loss against PEFT's QLoRA")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the reports, made when missing")
    parser.add_argument("--parts", type=_parts, default=PARTS, help="speed (with memory) or curve (default: speed,curve)")
    parser.add_argument("--rounds", type=_count, default=3, help="timed steps of each side")
    parser.add_argument("--steps", type=_count, default=400, help="steps of the curves")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="of both sides' bases; else what PEFT's is quicker in")
    parser.add_argument("--dry-run", action="store_true", help="tiny shapes: whether everything runs, no figures")
    return parser.parse_args(arguments)


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected {','.join(PARTS)} or one of them, got {unknown[0]!r}")
    return parts


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _measure(options: argparse.Namespace, out: Path) -> None:
    """Run the parts; the reports go to `out`."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = "tiny" if options.dry_run else "8b" if device == "cuda" else "cpu"
    rounds, steps, every = (1, 2, 1) if options.dry_run else (options.rounds, options.steps, 10)
    about = {
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "threads": 1,
        "native_library": native_status("cpu"),
        "processor_multiplies_bfloat16": (library := cpu_library()) is not None and nf4_native.multiplies_bfloat16(library),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft", "bitsandbytes")},
    }

    def write(name: str, value: dict[str, Any]) -> None:
        (out / name).write_text(json.dumps({**about, **value}, indent=1) + "\n")

    if "speed" in options.parts:
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
    if "curve" in options.parts:
        report = curves(steps, every, lambda value: write("curve.json", value))
        write_plot(report, out / "curve.svg")
        print(json.dumps(report["time_to_loss"], indent=1))


if __name__ == "__main__":
    sys.exit(main())
