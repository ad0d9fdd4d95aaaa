"""The temperature that outputs of a domain are drawn with where nobody says another: `schemas/temperatures.yaml`.

A domain's schema is frozen when it is released, and how to draw is nothing that a checker or a grammar depends on: it may
change. So it stands in a file of its own, beside the schemas.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from builderbrain.config import build_config
from builderbrain.config.yaml_file import read_yaml
from builderbrain.decode.temperature import MAX_TEMPERATURE, Temperature, TemperatureSchedule
from builderbrain.errors import ConfigError
from builderbrain.plan.assets import asset_root

FILE = "temperatures.yaml"


@lru_cache(maxsize=1)
def domain_temperatures() -> Mapping[str, Temperature]:
    """By domain; read once.

    Raises:
        ConfigError: the file is missing or an entry is wrong; names the domain.
    """
    return MappingProxyType(read_temperatures(asset_root() / "schemas" / FILE))


def read_temperatures(path: Path) -> dict[str, Temperature]:
    """The entries of a file: a number, or the fields of a `TemperatureSchedule`.

    Raises:
        ConfigError: the file cannot be read, or an entry is wrong; names the domain.
    """
    return {str(domain): _temperature(str(domain), entry) for domain, entry in read_yaml(path).items()}


def _temperature(domain: str, entry: object) -> Temperature:
    if isinstance(entry, Mapping):
        schedule = build_config(TemperatureSchedule, entry, prefix=f"{domain}.")
        if (fault := schedule.fault()) is not None:
            raise ConfigError(f"{domain}.{fault}", field=domain)
        return schedule
    if isinstance(entry, bool) or not isinstance(entry, int | float) or not 0 <= entry <= MAX_TEMPERATURE:
        raise ConfigError(
            f"expected {domain} to be a temperature from 0 to {MAX_TEMPERATURE:g}, or a mapping with start, end, tokens and "
            f"perhaps shape, got {entry!r}",
            field=domain,
        )
    return float(entry)
