"""Models from folders: what a folder holds says what it is, a rail, a LoRA adapter or a whole copy of the base."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from builderbrain.errors import SubjectError
from builderbrain.eval.full import WEIGHTS_FILE as FULL_FILE
from builderbrain.eval.full import load_full
from builderbrain.eval.lora import ADAPTER_FILE, load_lora
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import load_host
from builderbrain.rail.checkpoint import WEIGHTS_NAME as RAIL_FILE
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.pair import Pair

Kind = Literal["rail", "lora", "full"]
_FILES: dict[str, Kind] = {RAIL_FILE: "rail", ADAPTER_FILE: "lora", FULL_FILE: "full"}


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A trained model: `pair` is host and rail, or the tuned host alone; `parameters` are those that were trained."""

    kind: Kind
    pair: Pair
    parameters: int


def kind_of(folder: Path) -> Kind:
    """What a folder holds.

    Raises:
        SubjectError: none of the three.
    """
    for name, kind in _FILES.items():
        if (folder / name).is_file():
            return kind
    raise SubjectError(
        f"expected a trained model in {folder}, got none of {', '.join(_FILES)}; train it, or leave its seed or split out",
        field="subject",
    )


def load_model(folder: Path, model: str, *, device: str | None = None) -> LoadedModel:
    """The model of a folder over the base `model`.

    Raises:
        SubjectError, CheckpointError: the folder holds none, or one for another base.
    """
    kind = kind_of(folder)
    if kind == "rail":
        rail = load_rail(folder)
        host = load_host(model, tap_points=rail.config.tap_points, device=device)
        count = sum(parameter.numel() for parameter in rail.parameters())
        return LoadedModel(kind=kind, pair=Pair(host, rail.to(host.device)), parameters=count)
    host = load_host(model, device=device)
    tuned: Host = load_lora(host, folder) if kind == "lora" else load_full(host, folder)
    return LoadedModel(kind=kind, pair=Pair(tuned, None), parameters=_trained(folder))


def _trained(folder: Path) -> int:
    from safetensors import safe_open

    count = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (no mapping)
                shape = file.get_slice(name).get_shape()
                size = 1
                for extent in shape:
                    size *= extent
                count += size
    return count
