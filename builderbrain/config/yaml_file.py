"""A YAML file of settings, read strictly: plain values, no key twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from builderbrain.errors import ConfigError


class _Strict(yaml.SafeLoader):
    """The safe loader, but a key that is there twice is an error, where YAML lets the last one win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice; keep one", key_node.start_mark
                )
            if isinstance(key, Hashable):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[Any, Any]:
    """The mapping of a file.

    Raises:
        ConfigError: it cannot be read, is not UTF-8, empty, not YAML, no mapping, or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"expected a readable YAML file at {path}: {error.strerror}", field="config") from error
    except UnicodeDecodeError as error:
        at = f"byte {error.object[error.start]:#04x} at offset {error.start}"
        raise ConfigError(f"expected UTF-8 in {path}, got {at}; convert the file", field="config") from error
    try:
        loaded = yaml.load(text, Loader=_Strict)  # a subclass of the safe loader
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}", field="config") from error
    if loaded is None:
        raise ConfigError(f"expected a mapping of keys in {path}, got an empty file", field="config")
    if not isinstance(loaded, dict):
        raise ConfigError(f"expected a mapping of keys in {path}, got {type(loaded).__name__}", field="config")
    return loaded
