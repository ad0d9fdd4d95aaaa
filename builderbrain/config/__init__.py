"""Typed configuration from YAML and the command line.

A configuration is a frozen, keyword-only dataclass beside what it configures; nested dataclasses are nested sections.
Overrides are `section.key=value` with YAML values. Unknown keys are errors that name the nearest valid key.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from builderbrain.config.values import refusal
from builderbrain.config.yaml_file import read_yaml
from builderbrain.errors import ConfigError

T = TypeVar("T")


def load_config(cls: type[T], path: Path | None = None, overrides: Sequence[str] = ()) -> T:
    """Build `cls` from its defaults, then a YAML file, then overrides.

    Args:
        cls: a keyword-only dataclass.
        path: YAML file with a mapping, whose keys may be dotted as overrides are; None for defaults alone.
        overrides: `key=value` or `section.key=value`, the value in YAML.

    Raises:
        ConfigError: unreadable file, unknown, missing or repeated key, wrong type, or a value the dataclass refuses.
    """
    value: dict[str, Any] = {}
    if path is not None:
        for key, item in read_yaml(path).items():
            _add(value, str(key), item, f"{path}")
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
        ConfigError: unknown or missing key, wrong type, or a value the dataclass refuses.
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
        arguments[key] = _convert(kind, item, name)
    absent = [
        f.name
        for f in fields(cls)  # type: ignore[arg-type]
        if f.default is MISSING and f.default_factory is MISSING and f.name not in arguments
    ]
    if absent:
        wanted = " and ".join(f"{prefix}{name}=VALUE" for name in absent)
        raise ConfigError(f"expected {wanted}, got nothing; it has no default", field=f"{prefix}{absent[0]}")
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


def _convert(kind: Any, item: Any, name: str) -> Any:
    """The value of a key as its type, or a refusal in words."""
    try:
        if isinstance(item, bool) and kind in (int, float):  # `yes` is true in YAML, and true is 1 in Python
            raise ConfigError(refusal(kind, item, name), field=name)
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True)).validate_python(item)
    except ValidationError as error:
        raise ConfigError(refusal(kind, item, name), field=name) from error


def _set(value: dict[str, Any], keys: Sequence[str], item: Any) -> None:
    for key in keys[:-1]:
        inner = value.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"expected {key} to be a section, got {inner!r}", field=".".join(keys))
        value = inner
    value[keys[-1]] = item


def _add(value: dict[str, Any], name: str, item: Any, where: str) -> None:
    """Take over a key of a file: a dotted one into its sections, a section key by key, none of them twice."""
    *sections, last = name.split(".")
    for key in sections:
        value = value.setdefault(key, {})
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected {key} to be a section for {name}, got {value!r}", field=name)
    if isinstance(item, dict):
        inner = value.setdefault(last, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{where}: {name} is there twice, once as {inner!r}; keep one", field=name)
        for key, part in item.items():
            _add(inner, str(key), part, where)
    elif last in value:
        raise ConfigError(f"{where}: {name} is there twice; keep one", field=name)
    else:
        value[last] = item
