"""Typed configuration from YAML and the command line.

A configuration is a frozen, keyword-only dataclass beside what it configures; nested dataclasses are nested sections.
Overrides are `section.key=value` with YAML values. Unknown keys are errors that name the nearest valid key.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from builderbrain.errors import ConfigError

T = TypeVar("T")


def load_config(cls: type[T], path: Path | None = None, overrides: Sequence[str] = ()) -> T:
    """Build `cls` from its defaults, then a YAML file, then overrides.

    Args:
        cls: a keyword-only dataclass.
        path: YAML file with a mapping; None for defaults alone.
        overrides: `key=value` or `section.key=value`, the value in YAML.

    Raises:
        ConfigError: unreadable file, unknown key, wrong type, or a value the dataclass refuses.
    """
    value: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"expected a readable YAML file at {path}: {error.strerror}", field="config") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not YAML: {error}", field="config") from error
        if not isinstance(loaded, dict):
            raise ConfigError(f"expected a mapping of keys in {path}, got {type(loaded).__name__}", field="config")
        value = loaded
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise ConfigError(f"expected key=value, got {override!r}", field="overrides")
        try:
            parsed = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ConfigError(f"the value of {key} is not YAML: {text!r}", field=key) from error
        _set(value, key.split("."), parsed)
    return build_config(cls, value)


def build_config(cls: type[T], value: Mapping[str, Any], *, prefix: str = "") -> T:
    """Build `cls` from a mapping.

    Raises:
        ConfigError: unknown key, wrong type, or a value the dataclass refuses.
    """
    hints = get_type_hints(cls)
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    arguments: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"expected one of {', '.join(prefix + k for k in known)}"
            raise ConfigError(f"unknown key {name!r}; {hint}", field=name)
        kind = hints[key]
        if is_dataclass(kind) and isinstance(kind, type):
            if not isinstance(item, Mapping):
                raise ConfigError(f"expected {name} to be a section with keys, got {item!r}", field=name)
            arguments[key] = build_config(kind, item, prefix=f"{name}.")
            continue
        try:
            arguments[key] = TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(item)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ConfigError(f"{name}: {reason}, got {item!r}", field=name) from error
    try:
        return cls(**arguments)
    except ConfigError as error:
        if not prefix:
            raise
        raise ConfigError(f"{prefix[:-1]}: {error.message}", field=f"{prefix}{error.field or ''}") from error


def overrides_of(config: Any, *, prefix: str = "") -> list[str]:
    """Every key of a configuration as an override that `load_config` reads back, e.g. `rail.width=0`."""
    lines: list[str] = []
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            lines += overrides_of(value, prefix=f"{prefix}{field.name}.")
        else:
            lines.append(f"{prefix}{field.name}={json.dumps(value)}")
    return lines


def check_bounds(config: Any, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Refuse fields of a dataclass outside their closed interval; every item of a tuple counts, and NaN is outside.

    Raises:
        ConfigError: names the field and the interval.
    """
    for name, (least, most) in bounds.items():
        value = getattr(config, name)
        for item in value if isinstance(value, tuple) else (value,):
            if not least <= item <= most:
                wanted = f"at least {least}" if most == math.inf else f"in [{least}, {most}]"
                raise ConfigError(f"expected {name} {wanted}, got {value}", field=name)
            if math.isinf(item):
                raise ConfigError(f"expected {name} to be finite, got {value}", field=name)


def _set(value: dict[str, Any], keys: Sequence[str], item: Any) -> None:
    for key in keys[:-1]:
        inner = value.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"expected {key} to be a section, got {inner!r}", field=".".join(keys))
        value = inner
    value[keys[-1]] = item
