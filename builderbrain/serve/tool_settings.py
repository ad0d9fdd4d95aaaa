"""What the tools of a server need to know of the world, from one file: where an API is, which site, what may be cited, which
MCP servers there are.

    api: {base_url: "https://shop.example.org/v1", headers: {Authorization: "Bearer KEY"}}
    site: {base_url: "https://shop.example.org", webdriver: "http://127.0.0.1:9515"}
    sources:
      - {name: Health guide, file: health.txt}
    mcp: [mcp.yaml]

Paths are beside the file. The domains of MCP servers are made of what was approved (docs/mcp.md), and exist until `close`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio

from builderbrain.agent.executor import ApiSettings, PageDriver, SiteSettings, Source, Tool, ToolSettings
from builderbrain.config import build_config
from builderbrain.config.yaml_file import read_yaml
from builderbrain.errors import BuilderBrainError, ConfigError
from builderbrain.mcp import load_catalogue

SECTIONS = ("api", "site", "sources", "mcp")
MAX_SOURCE_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A text that may be cited, by the name of its file."""

    name: str
    file: str


@dataclass(frozen=True, kw_only=True)
class ServedTools:
    """Settings of the tools, and those of MCP servers by domain and skill.

    Args:
        driver: shows the site; closed with the rest.
    """

    settings: ToolSettings = field(default_factory=ToolSettings)
    domains: Mapping[str, Mapping[str, Tool]] = field(default_factory=dict)
    driver: PageDriver | None = None
    stack: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Everything is there already."""

    def stop(self) -> None:
        """The domains of MCP servers are gone, and the browser is closed."""
        self.stack.close()
        if self.driver is not None:
            closing = threading.Thread(target=anyio.run, args=(self.driver.close,))  # this thread has an event loop
            closing.start()
            closing.join(30)


def load_tools(path: Path) -> ServedTools:
    """Read a file, YAML or JSON.

    Raises:
        ConfigError: names the file, the key, and what to write.
    """
    try:
        return _load(path)
    except BuilderBrainError as error:
        said = error.message if str(path) in error.message else f"{path}: {error.message}"
        raise ConfigError(said, field=error.field) from error


def _load(path: Path) -> ServedTools:
    raw = read_yaml(path)
    unknown = next((key for key in raw if key not in SECTIONS), None)
    if unknown is not None:
        raise ConfigError(f"unknown key {unknown!r}; expected one of {', '.join(SECTIONS)}", field=str(unknown))
    api = _section(ApiSettings, raw, "api")
    site = _section(SiteSettings, raw, "site")
    sources = tuple(_source(path, f"sources.{place}", item) for place, item in enumerate(_list(raw, "sources")))
    stack = ExitStack()
    domains: dict[str, Mapping[str, Tool]] = {}
    try:
        for number, name in enumerate(_list(raw, "mcp")):
            key = f"mcp.{number}"
            if not isinstance(name, str):
                raise ConfigError(f"expected {key} to be the name of a file, got {name!r:.80}", field=key)
            try:
                catalogue = load_catalogue(path.parent / name)
                domain = stack.enter_context(catalogue.available())
            except BuilderBrainError as error:
                raise ConfigError(
                    f"{key}: {path.parent / name}: {error.message}", field=f"{key}.{error.field or ''}"
                ) from error
            domains[domain.name] = catalogue.tools
    except BaseException:
        stack.close()
        raise
    driver = None if site is None else site.driver()
    return ServedTools(
        settings=ToolSettings(api=api, pages=driver, sources=sources), domains=domains, driver=driver, stack=stack
    )


def _section(cls: type[T], raw: Mapping[str, Any], key: str) -> T | None:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected {key} to be a section with keys such as base_url, got {value!r:.80}", field=key)
    return build_config(cls, value, prefix=f"{key}.")


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ConfigError(f"expected {key} to be a list, got {value!r:.80}; write [{value!r:.40}]", field=key)
    return value


def _source(path: Path, key: str, item: Any) -> Source:
    if not isinstance(item, Mapping):
        raise ConfigError(f"expected {key} to be a section with name and file, got {item!r:.80}", field=key)
    named = build_config(SourceFile, item, prefix=f"{key}.")
    file = path.parent / named.file
    try:
        if file.stat().st_size > MAX_SOURCE_BYTES:
            raise ConfigError(f"{key}.file: {file} has more than {MAX_SOURCE_BYTES} bytes; split it", field=f"{key}.file")
        return Source(name=named.name, text=file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}.file: {file} cannot be read: {error}; name a text file", field=f"{key}.file") from error
