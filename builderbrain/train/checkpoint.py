"""Training checkpoints: safetensors and JSON in directories that are whole or absent (`builderbrain.storage`).

`folder/step_00000400/` holds every tensor of the run (parameters, optimiser moments) and its scalars (duals, windows).
Randomness needs no state: whatever is random at step n is drawn from a generator seeded by (seed, n).
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from builderbrain.errors import CheckpointError
from builderbrain.storage import canonical_json, read_manifest, read_verified_directory, remove_stale, write_directory_atomic

logger = logging.getLogger(__name__)

_TENSORS = "state.safetensors"
_VALUES = "state.json"
_PATTERN = "step_*"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a run needs to go on after `step` completed steps."""

    step: int
    tensors: Mapping[str, Tensor]
    values: Mapping[str, Any]

    def digest(self) -> str:
        """sha256 over all of it, hexadecimal."""
        digest = hashlib.sha256(json.dumps([self.step, dict(self.values)], sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int = 2) -> Path:
    """Write a checkpoint durably, then remove all but the newest `keep`.

    Raises:
        OSError: the disk is full or gone; older checkpoints are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale(folder)
    target = folder / f"step_{checkpoint.step:08d}"
    if target.exists():  # a torn one that `load_checkpoint` passed over
        shutil.rmtree(target)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    write_directory_atomic(
        target,
        {_TENSORS: lambda path: _save_tensors(tensors, path), _VALUES: canonical_json(dict(checkpoint.values))},
        information={"step": checkpoint.step},
    )
    for old in sorted(folder.glob(_PATTERN))[:-keep]:
        shutil.rmtree(old)
    return target


def newest_checkpoint(folder: Path) -> Path | None:
    """Folder of the newest whole checkpoint, or None when there is none; torn ones are reported and passed over."""
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        try:
            read_verified_directory(path)
        except CheckpointError as error:
            logger.warning("checkpoint %s passed over: %s", path.name, error.message)
            continue
        return path
    return None


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint, or None when there is none."""
    from safetensors.torch import load_file

    path = newest_checkpoint(folder)
    if path is None:
        return None
    return Checkpoint(
        step=int(read_manifest(path).information["step"]),
        tensors=load_file(path / _TENSORS),
        values=json.loads((path / _VALUES).read_text()),
    )


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """`save_file`, whose failed writes are no OSError.

    Raises:
        OSError: the disk is full or gone.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path)
    except SafetensorError as error:
        found = re.search(r"os error (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer, named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """State of an optimiser as flat names `parameter/key`; scalars become 0-dimensional tensors."""
    names = {id(parameter): name for name, parameter in named}
    return {
        f"{names[id(parameter)]}/{key}": torch.as_tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, named: Iterable[tuple[str, Tensor]], tensors: Mapping[str, Tensor]
) -> None:
    """Undo `optimizer_tensors`, each tensor on its parameter's device; keys of other optimisers' parameters are left alone.

    `step` stays on the CPU, where `torch.optim` counts: on a GPU every look at it would wait.

    Raises:
        CheckpointError: the state of a parameter has another shape than the parameter.
    """
    owned = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in named:
        if id(parameter) not in owned:
            continue
        saved = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
        for key, value in saved.items():
            if value.ndim and value.shape != parameter.shape:
                raise CheckpointError(
                    f"expected {key} of {name} with shape {tuple(parameter.shape)}, got {tuple(value.shape)}; "
                    "the configuration changed since the checkpoint, choose another output folder",
                    field=name,
                )
        optimizer.state[parameter] = {
            key: value.to("cpu" if key == "step" else parameter.device, copy=True) for key, value in saved.items()
        }
