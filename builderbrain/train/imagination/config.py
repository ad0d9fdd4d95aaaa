"""Configuration of the training of a policy in imagination; `--config FILE` and `key=value` overrides fill it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError
from builderbrain.train.duals import DualConfig
from builderbrain.train.world.config import StageConfig


@dataclass(frozen=True, kw_only=True)
class ImprovementSection:
    """How the actor is improved: `passes` over every batch of imagined requests, `clip` of the ratio of probabilities (PPO),
    `decay` of the lambda-returns (1: what was earned to the end; 0: one step and the critic), `critic`: weight of its error."""

    passes: int = 3
    clip: float = 0.2
    decay: float = 0.95
    critic: float = 0.5

    def __post_init__(self) -> None:
        check_bounds(self, {"passes": (1, 64), "clip": (0.01, 10.0), "decay": (0.0, 1.0), "critic": (0.0, 100.0)})


@dataclass(frozen=True, kw_only=True)
class BehaviourSection(DualConfig):
    """The budget: `target` nats of KL(policy || behaviour) a request, summed over its decisions. The dual is the price of a nat
    in utility."""

    target: float = 2.0
    eta: float = 0.005
    kappa: float = 0.05


@dataclass(frozen=True, kw_only=True)
class PolicyWatchSection:
    """When to alarm, at an evaluation on held-out sessions.

    `collapse_share`: the policy has collapsed when fewer requests than this share see a call, or fewer see none.
    `overshoot`: the KL is this many times its budget.
    """

    collapse_share: float = 0.01
    overshoot: float = 1.25
    requests: int = 1024

    def __post_init__(self) -> None:
        check_bounds(self, {"collapse_share": (0.0, 0.5), "overshoot": (1.0, 100.0), "requests": (1, math.inf)})


@dataclass(frozen=True, kw_only=True)
class PolicyTrainConfig(StageConfig):
    """A run. `world`: the folder of a trained world model; `clone_steps`: the first of `steps`, in which the behaviour is
    cloned; `batch_size` counts decisions while cloning and requests after it; `hidden`: width of the networks."""

    world: str
    steps: int = 600
    clone_steps: int = 200
    batch_size: int = 1024
    learning_rate: float = 6e-3
    weight_decay: float = 0.0
    evaluation_every: int = 100
    hidden: int = 64
    improvement: ImprovementSection = field(default_factory=ImprovementSection)
    behaviour: BehaviourSection = field(default_factory=BehaviourSection)
    watch: PolicyWatchSection = field(default_factory=PolicyWatchSection)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"clone_steps": (1, math.inf), "hidden": (4, 4096)})
        if self.clone_steps >= self.steps:
            raise ConfigError(
                f"expected clone_steps below steps, got {self.clone_steps} of {self.steps}; raise steps", field="clone_steps"
            )
        if not self.world:
            raise ConfigError("expected world=PATH of a trained world model, got nothing", field="world")
