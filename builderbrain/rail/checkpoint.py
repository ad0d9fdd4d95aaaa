"""A rail on disk: `rail.safetensors`, `config.json`, and `skills.json` where its skills have a history. Nothing executable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook

WEIGHT_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""What weights can be shipped in, by name."""
WEIGHTS_NAME = "rail.safetensors"
CONFIG_NAME = "config.json"
BOOK_NAME = "skills.json"
"""The skill book, only beside a rail whose book says more than that of a new rail."""


def save_rail(
    rail: BuilderRail,
    folder: Path,
    *,
    information: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write a rail; load(save(rail)) is the same rail bit for bit, unless a narrower `dtype` rounds its weights.

    Args:
        dtype: of the weights in the file, one of `WEIGHT_DTYPES`; by default their own.
        information: JSON values for the manifest, such as what the rail was trained on.
        files: further files of the folder by name.

    Raises:
        FileExistsError: `folder` exists already; a written rail is never changed.
    """
    from safetensors.torch import save

    from builderbrain.storage import canonical_json, write_directory_atomic

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in rail.state_dict().items()}
    if dtype is not None:
        tensors = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    written = {**(files or {}), WEIGHTS_NAME: save(tensors), CONFIG_NAME: canonical_json(rail.config.to_json())}
    if _has_history(rail):
        written[BOOK_NAME] = canonical_json(rail.book.to_json())
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_directory_atomic(folder, written, information={**(information or {}), "kind": "rail"})


def load_rail(folder: Path) -> BuilderRail:
    """Read a rail in eval mode, on the CPU, its weights in float32 whatever they are in the file.

    Raises:
        CheckpointError: a file is missing, torn, not as the manifest beside it says, or holds other tensors than the
            configuration says, or a skill book that contradicts itself or the rail.
        ConfigError: the configuration is of another version of the project.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    rail = BuilderRail(load_rail_config(folder))
    _verify(folder)
    weights_path = folder / WEIGHTS_NAME
    try:
        tensors = load_file(weights_path)
    except SafetensorError as error:
        raise CheckpointError(f"{weights_path} is torn: {error}; use another copy", field=WEIGHTS_NAME) from error
    expected = {name: tuple(tensor.shape) for name, tensor in rail.state_dict().items()}
    got = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if expected != got:
        name = sorted(set(expected.items()) ^ set(got.items()))[0][0]
        raise CheckpointError(
            f"{weights_path}: expected tensor {name!r} with shape {expected.get(name)}, got {got.get(name)}; "
            "weights and config.json are of different rails",
            field=name,
        )
    rail.load_state_dict(tensors)
    book = _load_book(folder, rail.config)
    if book is not None:
        rail.adopt(book)
    return rail.eval()


def load_rail_config(folder: Path) -> RailConfig:
    """The configuration of a rail on disk, without its weights.

    Raises:
        CheckpointError: a file is missing.
        ConfigError: it is not JSON, or of another version of the project.
    """
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"expected a rail in {folder}, but {name} is missing; train one or name its folder", field="rail"
            )
    path = folder / CONFIG_NAME
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not JSON: {error}", field="rail") from error
    if not isinstance(value, dict):
        raise ConfigError(f"expected an object in {path}, got {type(value).__name__}; use another copy", field="rail")
    return RailConfig.from_json(value)


def _verify(folder: Path) -> None:
    """Compare the files with the manifest that was written with them, where there is one."""
    from builderbrain.storage import MANIFEST_NAME, read_manifest, sha256_file

    if not (folder / MANIFEST_NAME).is_file():
        return
    for name, entry in read_manifest(folder).files.items():
        path = folder / name
        if path.is_file() and sha256_file(path) != entry.sha256:
            raise CheckpointError(
                f"{path} is not as its manifest says: it is torn or was altered; use another copy", field=name
            )


def _has_history(rail: BuilderRail) -> bool:
    return rail.book != SkillBook.of(rail.config)


def _load_book(folder: Path, config: RailConfig) -> SkillBook | None:
    """The skill book of a folder; None for a rail without a history."""
    from builderbrain.storage import MANIFEST_NAME, read_manifest

    path = folder / BOOK_NAME
    if not path.is_file():
        listed = (folder / MANIFEST_NAME).is_file() and BOOK_NAME in read_manifest(folder).files
        if listed or config.aliases:
            raise CheckpointError(
                f"expected {path}, which says which skills of this rail are live, but it is missing; use another copy",
                field=BOOK_NAME,
            )
        return None
    try:
        return SkillBook.from_json(json.loads(path.read_bytes()), config)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is torn: {error}; use another copy", field=BOOK_NAME) from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.message}", field=BOOK_NAME) from error


def rail_version(rail: BuilderRail) -> str:
    """Name of a rail's weights: the first 12 hexadecimal digits of the sha256 over its tensors, its configuration and, where
    its skills have a history, their book."""
    digest = hashlib.sha256(json.dumps(rail.config.to_json(), sort_keys=True).encode())
    if _has_history(rail):
        digest.update(json.dumps(rail.book.to_json(), sort_keys=True).encode())
    for name, tensor in sorted(rail.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
