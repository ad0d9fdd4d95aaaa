"""Whether a rail fits: beside a base, and for the plans of a domain."""

from __future__ import annotations

from pathlib import PurePath

from builderbrain.hosts.base import Host
from builderbrain.plan import Domain
from builderbrain.rail.config import RailConfig


def misfit(config: RailConfig, host: Host) -> str | None:
    """Why a rail cannot run beside a base; None when it can."""
    for name, wanted, got in (
        ("states of width", config.d_model, host.d_model),
        ("logits of width", config.vocab_size, host.vocab_size),
        ("taps at layers", tuple(config.tap_points), tuple(host.tap_points)),
    ):
        if wanted != got:
            return f"the rail reads {name} {wanted}, the base gives {got}"
    return None


def other_base(config: RailConfig, base: str) -> str | None:
    """Why a rail is of another base than the one of a name; None when it is of this one. Where a base lies does not matter."""
    if PurePath(config.base_name).name == PurePath(base).name:
        return None
    return f"the rail was trained beside {config.base_name}, the base here is {base}"


def other_domain(config: RailConfig, domain: Domain) -> str | None:
    """Why a rail makes plans of another domain; None when its actions are skills of this one, or it names none."""
    unknown = sorted(set(config.actions) - domain.skills.keys())
    if not unknown:
        return None
    return f"the rail's actions are of another domain: {domain.name} has no skill {unknown[0]}"
