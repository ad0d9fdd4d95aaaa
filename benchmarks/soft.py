"""How far outputs keep to a soft constraint, by the energy that illegal tokens lose.

`OMP_NUM_THREADS=1 python -m benchmarks.soft [--outputs 50] [--json FILE]`

The bundled base writes lines of a macro, an object and one of a few words, at temperature 1 and along a schedule from 1.2 to
0.7. It was trained on none of them, so that everything legal is the energy's doing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.generate import Decoding
from builderbrain.decode.temperature import Temperature, TemperatureSchedule
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.hosts.load import NANO, load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher

RUNNING = 32
MAX_TOKENS = 60
SCALES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
TEMPERATURES: dict[str, Temperature] = {"1": 1.0, "1.2 to 0.7": TemperatureSchedule(start=1.2, end=0.7, tokens=64)}
PROMPT = "describe the promotion gate: "
OBJECT = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 12}, "count": {"type": "integer"}},
    "required": ["title", "count"],
    "additionalProperties": False,
}
CONSTRAINTS = (
    Constraint(kind="regex", source='((open|click|type|wait) "[a-z ]{1,12}"; ){1,3}'),
    Constraint(kind="json_schema", source=json.dumps(OBJECT)),
    Constraint(kind="choice", source=json.dumps(["answer", "ask", "cite", "refuse"])),
)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soft", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--outputs", type=int, default=50, help="of each constraint, at each scale and temperature")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    host: Any = load_host(NANO)
    masks = GrammarEngine(host.tokenizer, host.vocab_size)
    compiled = [masks.compile(constraint, trusted=True) for constraint in CONSTRAINTS]
    batcher = Batcher(host, num_pages=RUNNING * 8)
    model = BatchedModel(batcher, None)
    rows = []
    for name, temperature in TEMPERATURES.items():
        for scale in SCALES:
            parameters = SamplingParameters(max_tokens=MAX_TOKENS, temperature=temperature, energy_scale=scale)
            found = [
                generation
                for constraint in compiled
                for generation in outputs(batcher, model, constraint, parameters, options.outputs)
            ]
            rows.append({"temperature": name, "energy_scale": scale, **summary(found)})
            print(json.dumps(rows[-1]), flush=True)
    if options.json is not None:
        report = {"outputs": options.outputs * len(compiled), "max_tokens": MAX_TOKENS, "rows": rows}
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def outputs(
    batcher: Batcher, model: BatchedModel, constraint: CompiledConstraint, parameters: SamplingParameters, count: int
) -> list[Generation]:
    """Outputs of the seeds 0 to count - 1, decoded together."""
    prompt = model.tokenizer.encode(PROMPT)
    finished: list[Generation] = []
    for first in range(0, count, RUNNING):
        seeds = range(first, min(first + RUNNING, count))
        running = [Decoding(model, prompt, replace(parameters, seed=seed), constraint) for seed in seeds]
        while running:
            for decoding in tuple(running):
                if decoding.ready() and decoding.step() is None:
                    finished.append(decoding.result())
                    decoding.close()
                    running.remove(decoding)
            batcher.run()
    return finished


def summary(found: list[Generation]) -> dict[str, float]:
    """Shares of all outputs."""
    reports = [generation.constraint for generation in found if generation.constraint is not None]
    left = [report.softness.left_at for report in reports if report.softness is not None]
    return {
        "valid": round(sum(report.valid is True for report in reports) / len(found), 3),
        "invalid": round(sum(report.valid is False for report in reports) / len(found), 3),
        "cut": round(sum(report.valid is None for report in reports) / len(found), 3),
        "never_left": round(sum(place is None for place in left) / len(found), 3),
    }


if __name__ == "__main__":
    main()
