"""Which domain a rail makes plans of: the one whose skills its actions are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from builderbrain.errors import ConfigError
from builderbrain.gate.battery import FIRST_DOMAIN
from builderbrain.gate.rail_folder import read_rail_folder
from builderbrain.plan import get_domain
from builderbrain.plan.registry import domain_names, domain_versions
from builderbrain.rail.checkpoint import load_rail_config
from builderbrain.rail.config import RailConfig
from builderbrain.rail.fitting import other_domain


def domain_of_folder(folder: Path) -> str:
    """The domain of a rail or of a version.

    Raises:
        ConfigError, CheckpointError: the folder holds no whole rail, or one of no domain.
    """
    return domain_of(load_rail_config(folder), read_rail_folder(folder).information)


def domain_of(config: RailConfig, information: Mapping[str, Any]) -> str:
    """The domain of a rail. One that names no actions makes plans of the first domain, as every rail did once.

    Args:
        information: of the rail's manifest; its `domain` decides where the actions are skills of several.

    Raises:
        ConfigError: the actions are skills of no domain.
    """
    if not config.actions:
        return FIRST_DOMAIN
    fitting = [
        name
        for name in domain_names()
        if any(other_domain(config, get_domain(name, version)) is None for version in domain_versions(name))
    ]
    if not fitting:
        raise ConfigError(
            f"the rail's actions ({', '.join(config.actions)}) are skills of no domain; train it for one of "
            f"{', '.join(domain_names())}",
            field="candidate",
        )
    stated = str(information.get("domain", FIRST_DOMAIN))
    return stated if stated in fitting else fitting[0]
