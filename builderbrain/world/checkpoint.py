"""A world model on disk: `world.safetensors` and `config.json`, whole or absent (`builderbrain.storage`)."""

from __future__ import annotations

import json
from pathlib import Path

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.storage import canonical_json, read_verified_directory, write_directory_atomic
from builderbrain.world.encoding import ACTIONS, FIELDS
from builderbrain.world.model import WorldConfig, WorldModel

WEIGHTS_NAME = "world.safetensors"
CONFIG_NAME = "config.json"


def save_world(world: WorldModel, folder: Path) -> None:
    """Write a model; load(save(model)) is the same bit for bit.

    Raises:
        FileExistsError: `folder` exists already; a written model is never changed.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in world.state_dict().items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    files = {WEIGHTS_NAME: save(tensors), CONFIG_NAME: canonical_json(world.config.to_json())}
    write_directory_atomic(folder, files, information={"kind": "world"})


def load_world(folder: Path) -> WorldModel:
    """Read a model in eval mode, on the CPU.

    Raises:
        CheckpointError: the folder is missing or holds something else, or a file is missing or altered, or holds other tensors
            than the configuration says.
        ConfigError: it was trained for other actions or fields than this version encodes.
    """
    from safetensors.torch import load_file

    _expect_world(folder)
    read_verified_directory(folder)
    config = WorldConfig.from_json(json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8")))
    if config.actions != ACTIONS or config.fields != tuple(FIELDS.values()):
        raise ConfigError(f"{folder} was trained for other actions or observations than these; train it again", field="world")
    world = WorldModel(config)
    tensors = load_file(folder / WEIGHTS_NAME)
    expected = {name: tuple(tensor.shape) for name, tensor in world.state_dict().items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in tensors.items()}:
        raise CheckpointError(
            f"{folder / WEIGHTS_NAME} and {CONFIG_NAME} are of different models; use another copy", field="world"
        )
    world.load_state_dict(tensors)
    return world.eval()


def _expect_world(folder: Path) -> None:
    """Say what is there in place of a world model."""
    if (folder / WEIGHTS_NAME).is_file():
        return
    if not folder.is_dir():
        found = f"there is no folder {folder}; train one with `python -m builderbrain.train world` or mend the name"
    elif (folder / "rail.safetensors").is_file():
        found = f"{folder} is a rail, not a world model; name the folder `world` of a world model's run"
    elif (folder / "world" / WEIGHTS_NAME).is_file():
        found = f"{folder} is the folder of its run; name {folder / 'world'}"
    else:
        found = f"{folder} holds no {WEIGHTS_NAME}; name the folder `world` of a world model's run"
    raise CheckpointError(f"expected a world model, but {found}", field="world")
