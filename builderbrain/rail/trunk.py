"""What of a rail belongs to its skills, and what all skills share: the trunk.

The trunk reads the base, attends, copies and proposes. What a domain asks for can be learned by skills alone over the trunk of
a rail that was trained on another domain: adapters, the router that chooses them, and the policy heads, whose options are the
domain's.
"""

from __future__ import annotations

import torch

from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail


def is_of_skills(name: str) -> bool:
    """Whether a parameter, by its name, belongs to the skills: adapters, router and policy, plan and chain heads."""
    first, *rest = name.split(".")
    return first in ("router", "proposal_skills", "policy", "plan", "chain") or (first == "blocks" and rest[1] == "skills")


def freeze_trunk(rail: BuilderRail) -> None:
    """Leave only the skills trainable."""
    for name, parameter in rail.named_parameters():
        parameter.requires_grad_(is_of_skills(name))


def with_new_skills(rail: BuilderRail, config: RailConfig, *, seed: int) -> BuilderRail:
    """A rail with the trunk of `rail` and new skills, bit for bit and in its alpha budget.

    Where the token slots are others, labels are told anew, but for those whose slot and option have the same names in both.

    Args:
        config: that of `rail` with other numbers and ranks of skills or other heads.
        seed: fixes the new weights.

    Raises:
        ValueError: the trunk of `config` has another shape.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = BuilderRail(config)
    relabelled = config.token_slots != rail.config.token_slots

    def kept(name: str) -> bool:
        return not is_of_skills(name) and not (relabelled and name.startswith("labels."))

    trunk = {name: tensor for name, tensor in rail.state_dict().items() if kept(name)}
    wanted = {name: tensor.shape for name, tensor in made.state_dict().items() if kept(name)}
    if wanted != {name: tensor.shape for name, tensor in trunk.items()}:
        raise ValueError("expected a configuration that differs in skills and heads alone, got another trunk")
    made.load_state_dict(trunk, strict=False)
    if relabelled and made.labels is not None and rail.labels is not None:
        made.labels.take_over(rail.labels, config.token_slots, rail.config.token_slots)
    return made
