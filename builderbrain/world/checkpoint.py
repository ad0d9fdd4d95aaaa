"""World models and policies on disk: weights and `config.json`, whole or absent (`builderbrain.storage`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.storage import canonical_json, read_verified_directory, sha256_file, write_directory_atomic
from builderbrain.world.encoding import ACTIONS, FIELDS
from builderbrain.world.model import WorldConfig, WorldModel
from builderbrain.world.policy import Policy, PolicyConfig

WEIGHTS_NAME = "world.safetensors"
POLICY_NAME = "policy.safetensors"
CONFIG_NAME = "config.json"


def save_world(world: WorldModel, folder: Path) -> None:
    """Write a model; load(save(model)) is the same bit for bit.

    Raises:
        FileExistsError: `folder` exists already; a written model is never changed.
    """
    _save(world, folder, weights=WEIGHTS_NAME, config=world.config.to_json(), kind="world")


def load_world(folder: Path) -> WorldModel:
    """Read a model in eval mode, on the CPU.

    Raises:
        CheckpointError: the folder is missing or holds something else, or a file is missing or altered, or holds other tensors
            than the configuration says.
        ConfigError: it was trained for other actions or fields than this version encodes.
    """
    _expect_world(folder)
    config = WorldConfig.from_json(_read_config(folder))
    if config.actions != ACTIONS or config.fields != tuple(FIELDS.values()):
        raise ConfigError(f"{folder} was trained for other actions or observations than these; train it again", field="world")
    world = WorldModel(config)
    _load(world, folder, weights=WEIGHTS_NAME, field="world")
    return world.eval()


def save_policy(policy: Policy, folder: Path) -> None:
    """Write a policy; load(save(policy)) is the same bit for bit.

    Raises:
        FileExistsError: `folder` exists already; a written policy is never changed.
    """
    _save(policy, folder, weights=POLICY_NAME, config=policy.config.to_json(), kind="policy")


def load_policy(folder: Path, *, world: Path) -> Policy:
    """Read a policy in eval mode, on the CPU.

    Args:
        world: folder of the world model whose states it is to read.

    Raises:
        CheckpointError: a file is missing or altered, or holds other tensors than the configuration says.
        ConfigError: it was trained for other actions, or in another world model.
    """
    config = PolicyConfig.from_json(_read_config(folder))
    if config.actions != ACTIONS:
        raise ConfigError(f"{folder} was trained for other actions than these; train it again", field="policy")
    if config.world != sha256_file(world / WEIGHTS_NAME):
        raise ConfigError(
            f"{folder} was trained in another world model than {world}; name that one, or train the policy again",
            field="policy",
        )
    policy = Policy(config)
    _load(policy, folder, weights=POLICY_NAME, field="policy")
    return policy.eval()


def _save(model: nn.Module, folder: Path, *, weights: str, config: dict[str, Any], kind: str) -> None:
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_directory_atomic(folder, {weights: save(tensors), CONFIG_NAME: canonical_json(config)}, information={"kind": kind})


def _read_config(folder: Path) -> dict[str, Any]:
    read_verified_directory(folder)
    value: dict[str, Any] = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    return value


def _load(model: nn.Module, folder: Path, *, weights: str, field: str) -> None:
    from safetensors.torch import load_file

    if not (folder / weights).is_file():
        raise CheckpointError(f"expected {weights} in {folder}; it holds something else", field=field)
    tensors = load_file(folder / weights)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if expected != {name: tuple(tensor.shape) for name, tensor in tensors.items()}:
        raise CheckpointError(f"{folder / weights} and {CONFIG_NAME} are of different models; use another copy", field=field)
    model.load_state_dict(tensors)


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
