"""Training of the baselines: what `train-lora` and `train-full` do once their options are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console

from builderbrain.eval.full import FullTraining, train_full
from builderbrain.eval.lora import LoraTraining, train_lora
from builderbrain.eval.output import progress_bar, remove_folder, write_json
from builderbrain.eval.toolgraph_learned import KEY, TRAINING_FILE, learned_record
from builderbrain.eval.toolgraph_task import DOMAIN
from builderbrain.eval.tune import TokenBatch, TuneSettings
from builderbrain.hosts.base import Host
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import gather_materials

Baseline = Literal["lora", "full"]
LEARNING_RATES: dict[Baseline, float] = {"lora": 2e-3, "full": 1e-3}


def train_baseline(
    kind: Baseline,
    config: TrainConfig,
    out: Path,
    *,
    start: Path | None = None,
    learning_rate: float | None = None,
    parameters: int | None = None,
) -> int:
    """Train a baseline on the batches that a rail of the same configuration is trained on, for as many steps.

    A LoRA gets as many `parameters`, by default those of that rail, unless it goes on from the LoRA in `start`.
    Checkpoints lie beside `out` until it is done; the same command goes on from them.
    """
    materials = gather_materials(config)
    collate = materials.collator(config)

    def batch_of(step: int) -> Sequence[TokenBatch]:
        return collate.parts(materials.source.rows(step, config.batch_size), config.micro_batches)

    rail_parameters = sum(parameter.numel() for parameter in materials.rail.parameters())
    wanted = rail_parameters if parameters is None else parameters
    rate = LEARNING_RATES[kind] if learning_rate is None else learning_rate
    settings = TuneSettings(steps=config.steps, learning_rate=rate, seed=config.seed)
    checkpoints = out.with_name(f"{out.name}.checkpoints")
    with progress_bar() as progress:
        task = progress.add_task(kind, total=config.steps)

        def on_step(step: int, loss: float) -> None:
            progress.update(task, completed=step, description=f"{kind}, loss {loss:.4f}")

        training = _train(kind, materials.host, batch_of, wanted, settings, start, checkpoints, on_step)
    training.save(out)
    record = {
        "kind": kind,
        "data": config.data,
        "seed": config.seed,
        "steps": config.steps,
        "batch_size": config.batch_size,
        "learning_rate": rate,
        "start": None if start is None else str(start),
        "rank": training.rank if isinstance(training, LoraTraining) else None,
        "parameters": training.parameters,
        "rail_parameters": rail_parameters,
        "tokens": training.tuned.tokens,
        "losses": training.tuned.losses,
        **({KEY: learned_record(config.tool_graph)} if config.data == DOMAIN else {}),
    }
    write_json(out / TRAINING_FILE, record)
    remove_folder(checkpoints)
    losses = training.tuned.losses
    Console().print(
        f"wrote {out}: {training.parameters:,} parameters beside the rail's {rail_parameters:,}, "
        f"{training.tuned.tokens:,} tokens, loss {losses[0]:.4f} -> {losses[-1]:.4f}",
        markup=False,
    )
    return 0


def _train(
    kind: Baseline,
    host: Host,
    batch_of: Callable[[int], Sequence[TokenBatch]],
    parameters: int,
    settings: TuneSettings,
    start: Path | None,
    checkpoints: Path,
    on_step: Callable[[int, float], None],
) -> LoraTraining | FullTraining:
    if kind == "lora":
        return train_lora(
            host, batch_of, parameters=parameters, settings=settings, start=start, checkpoints=checkpoints, on_step=on_step
        )
    return train_full(host, batch_of, settings=settings, start=start, checkpoints=checkpoints, on_step=on_step)
