"""Configuration of the training of a world model; `--config FILE` and `key=value` overrides fill it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SizeSection:
    """Sizes of the model: see `builderbrain.world.model.WorldConfig`."""

    width: int = 64
    groups: int = 1
    classes: int = 32
    hidden: int = 64


@dataclass(frozen=True, kw_only=True)
class LossSection:
    """Weights of the terms of the loss.

    `dynamics` and `representation` are the two halves of the balanced KL, each at least `free_nats` (DreamerV3 has 1, 0.1
    and 1; a step of these sessions carries less than one nat, so that a floor of 1 would leave the prior untrained).
    `prediction` is of what the prior says one step ahead. `rollout_steps` k and
    `rollout_paths` M are of the consistency of imagined rollouts.
    """

    dynamics: float = 1.0
    representation: float = 0.1
    free_nats: float = 0.02
    reward: float = 4.0
    risk: float = 0.5
    prediction: float = 0.5
    rollout: float = 0.25
    rollout_steps: int = 5
    rollout_paths: int = 2

    def __post_init__(self) -> None:
        weights = ("dynamics", "representation", "free_nats", "reward", "risk", "prediction", "rollout")
        check_bounds(self, {**dict.fromkeys(weights, (0.0, 100.0)), "rollout_steps": (1, 15), "rollout_paths": (1, 64)})


@dataclass(frozen=True, kw_only=True)
class WatchSection:
    """When to alarm, at an evaluation on held-out sessions.

    `collapse_nats`: the posterior has collapsed when it says less than this beyond the prior while reconstruction is no
    better than
    `collapse_share` of the marginal entropy. `drift_share`: rollouts drift when their loss per step is above this share of the
    marginal's at some k that `drift_rows` sessions reach. `gain_gap`: predicted against realised EVSI, in utility.
    """

    collapse_nats: float = 0.01
    collapse_share: float = 0.95
    drift_share: float = 1.0
    drift_rows: int = 20
    gain_gap: float = 0.1
    rollout_paths: int = 16
    rows: int = 64


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """What the runs of stage 2 share. `data`: a file that `decisions` wrote; `output`: the folder of the run; `held_out`: share
    kept for evaluation."""

    data: str
    output: str
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 1e-4
    gradient_clip: float = 1.0
    warmup_fraction: float = 0.05
    held_out: float = 0.1
    seed: int = 0
    device: str = "cpu"
    evaluation_every: int
    checkpoint_every: int = 100
    tensorboard: Literal["auto", "always", "never"] = "auto"

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "evaluation_every", "checkpoint_every")
        check_bounds(
            self,
            {
                **dict.fromkeys(counts, (1, math.inf)),
                "learning_rate": (0.0, 1.0),
                "weight_decay": (0.0, 1.0),
                "gradient_clip": (1e-6, math.inf),
                "warmup_fraction": (0.0, 1.0),
                "held_out": (0.001, 0.9),
                "seed": (0, 2**31),
            },
        )
        for name in ("data", "output"):
            if not getattr(self, name):
                raise ConfigError(f"expected {name}=PATH, got nothing", field=name)


@dataclass(frozen=True, kw_only=True)
class WorldTrainConfig(StageConfig):
    """A run of the world model; `batch_size` counts sessions."""

    steps: int = 1500
    batch_size: int = 48
    learning_rate: float = 8e-3
    evaluation_every: int = 500
    model: SizeSection = field(default_factory=SizeSection)
    loss: LossSection = field(default_factory=LossSection)
    watch: WatchSection = field(default_factory=WatchSection)
