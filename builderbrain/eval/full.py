"""The baseline with everything free: full fine-tuning of a copy of the base, on the rail's own batches.

It has every parameter of the base where the rail has a fraction, and gives up what a frozen base is for: nothing of the base
is shared any more, and what it knew may be lost.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builderbrain.errors import CheckpointError
from builderbrain.eval.lora import merge_lora
from builderbrain.eval.tune import TokenBatch, Tuned, TuneSettings, around_transformers, as_host, tune
from builderbrain.hosts.base import Host

WEIGHTS_FILE = "full.safetensors"


@dataclass(frozen=True, kw_only=True)
class FullTraining:
    """A trained copy of the base as a host of its own, and what it cost."""

    host: Host
    model: Any
    parameters: int
    tuned: Tuned

    def save(self, folder: Path) -> None:
        """Write the weights for `load_full`; tied ones once."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True)
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in _own(self.model)}, folder / WEIGHTS_FILE)


def train_full(
    host: Host,
    batch_of: Callable[[int], Sequence[TokenBatch]],
    *,
    settings: TuneSettings,
    start: Path | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> FullTraining:
    """Train every weight of a copy of the base; the base itself is not changed. See `tune`.

    Args:
        start: folder of a LoRA whose adapter is added to the copy's weights first.

    Raises:
        SubjectError: the host is no `transformers` model.
        CheckpointError: `start` holds no adapter for this base, or the checkpoints are of a run with other settings.
    """
    base = around_transformers(host, "full fine-tuning")
    model = copy.deepcopy(base.model) if start is None else merge_lora(host, start)
    model.requires_grad_(True)
    tuned = tune(
        model,
        batch_of,
        settings=settings,
        run={"kind": "full", "start": None if start is None else str(start), **asdict(settings)},
        device=host.device,
        checkpoints=checkpoints,
        on_step=on_step,
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return FullTraining(host=as_host(model, base, "full"), model=model, parameters=parameters, tuned=tuned)


def load_full(host: Host, folder: Path) -> Host:
    """A host that is a copy of `host` with saved weights.

    Raises:
        CheckpointError: the folder holds none, or those of another base.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    base = around_transformers(host, "full fine-tuning")
    model = copy.deepcopy(base.model)
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"expected {WEIGHTS_FILE} in {folder}, got: {error}; train it with `python -m builderbrain.eval train-full`",
            field="folder",
        ) from error
    mine = {name: tuple(tensor.shape) for name, tensor in _own(model)}
    theirs = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if mine != theirs:
        name = sorted(set(mine.items()) ^ set(theirs.items()))[0][0]
        raise CheckpointError(
            f"expected in {folder} the weights of {host.name}, got {name} with shape {theirs.get(name)} instead of "
            f"{mine.get(name)}; they are of another base",
            field="folder",
        )
    model.load_state_dict(tensors, strict=False)  # tied tensors are saved once
    return as_host(model, base, "full")


def _own(model: Any) -> list[tuple[str, Any]]:
    """Parameters by name, tied ones once."""
    return list(model.named_parameters())
