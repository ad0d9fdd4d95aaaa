"""What gradient conflict costs per step, and how well the Gramian at the rail's features stands for whole gradients.

    python -m benchmarks.gradient_conflict [--rounds N] [--start RAIL] [--out FILE]

**Price.** One trainer per method on the bundled base with the default configuration, all on the same rows; their steps
alternate, and processor times of each are divided by that of "none" in the same round (medians, OMP_NUM_THREADS=1).
"unwatched" is "none" without the watch, and says what the watch costs. **Faith.** Cosines between the gradients of the six
losses, of whole gradients (six backward passes over all parameters), of the matrix that training measures, and of the features'
own gradients, in batches along the first steps: correlation and root mean square difference over all pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from builderbrain.config import load_config
from builderbrain.hosts import load_host
from builderbrain.rail.block import BuilderBlock
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import build_trainer
from builderbrain.train.trainer import Trainer

WAYS = {
    "none": (),
    "unwatched": ("watch.enabled=false",),
    "scalarised": ("conflict.method=scalarised",),
    "pcgrad": ("conflict.method=pcgrad",),
    "cagrad": ("conflict.method=cagrad",),
}


def price(trainers: dict[str, Trainer], rounds: int) -> dict[str, Any]:
    """Ratios of processor time per step to that of "none", and the seconds of "none"."""
    seconds: dict[str, list[float]] = {way: [] for way in trainers}
    for number in range(rounds + 2):
        for way, trainer in trainers.items():
            start = time.process_time()
            trainer.train_step()
            trainer.state.step += 1
            if number >= 2:  # the first ones warm up
                seconds[way].append(time.process_time() - start)
    return {
        "ratios": {
            way: statistics.median(mine / none for mine, none in zip(values, seconds["none"], strict=True))
            for way, values in seconds.items()
        },
        "seconds_of_none": statistics.median(seconds["none"]),
        "runs": seconds,
    }


def faith(trainer: Trainer, batches: int) -> dict[str, Any]:
    """How cosines of the measured matrix, and of the features alone, compare with those of whole gradients."""
    parameters = list(trainer.rail.parameters())
    down = cast(BuilderBlock, trainer.rail.blocks[-1]).mlp.down
    features: list[Tensor] = []
    hook = down.register_forward_hook(lambda _module, _inputs, output: features.append(output))
    pairs: dict[str, list[float]] = {"whole": [], "matrix": [], "features": []}
    for _ in range(batches):
        sums: dict[str, Any] = dict.fromkeys(pairs, 0.0)
        for part in trainer.update.parts():
            features.clear()
            objective = trainer.update.forward(part)
            losses = [objective.plan, objective.policy, objective.copy, objective.labels]
            losses += [r for c, _ in trainer.state.constraints if (r := c.reading(objective.signals)) is not None]
            sums["whole"] = sums["whole"] + rows(losses, parameters)
            sums["matrix"] = sums["matrix"] + rows(losses, [down.weight])
            by_feature = rows(losses, [features[-1]])
            sums["features"] = sums["features"] + by_feature @ by_feature.T
        for way, value in sums.items():
            gramian = value if way == "features" else value @ value.T
            lengths = gramian.diagonal().clamp(min=1e-30).sqrt()
            upper = torch.triu_indices(*gramian.shape, 1)
            pairs[way] += (gramian / lengths[:, None] / lengths)[upper[0], upper[1]].tolist()
        trainer.train_step()
        trainer.state.step += 1
    hook.remove()
    whole = torch.tensor(pairs["whole"])
    return {
        way: {
            "correlation": float(torch.corrcoef(torch.stack([whole, torch.tensor(values)]))[0, 1]),
            "rms_difference": float((whole - torch.tensor(values)).square().mean().sqrt()),
            "least_cosine": min(values),
        }
        for way, values in pairs.items()
    }


def rows(losses: list[Tensor], inputs: list[Tensor]) -> Tensor:
    """[k, P]: the gradients of k losses, flat; 0 where a loss does not depend on an input."""
    found = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)
        found.append(
            torch.cat([(torch.zeros_like(x) if g is None else g).flatten() for x, g in zip(inputs, gradients, strict=True)])
        )
    return torch.stack(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradient_conflict", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12, help="steps per method that count")
    parser.add_argument("--batches", type=int, default=5, help="batches whose cosines are compared")
    parser.add_argument("--start", default="", help="folder of a trained rail to go on from; empty for a new one")
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    options = parser.parse_args()
    host = load_host("builderbrain-nano")
    with tempfile.TemporaryDirectory() as folder:
        trainers = {}
        for way, keys in WAYS.items():
            start = (f"start={options.start}",) if options.start else ()
            overrides = [f"output={folder}/{way}", "tensorboard=never", *start, *keys]
            trainers[way] = build_trainer(load_config(TrainConfig, None, overrides), host)[0]
        result = {
            "device": {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "load": os.getloadavg()[0]},
            "versions": {"torch": version("torch")},
            "start": options.start,
            "price": price(trainers, options.rounds),
            "faith": faith(trainers["scalarised"], options.batches),
        }
    print("| method | processor time per step beside none |\n|---|---|")
    for way, ratio in result["price"]["ratios"].items():  # type: ignore[index]
        print(f"| {way} | {ratio:.3f} |")
    print("\n| gradients | correlation of cosines | rms difference | least cosine |\n|---|---|---|---|")
    for way, values in result["faith"].items():  # type: ignore[attr-defined]
        print(f"| {way} | {values['correlation']:.2f} | {values['rms_difference']:.2f} | {values['least_cosine']:.2f} |")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
