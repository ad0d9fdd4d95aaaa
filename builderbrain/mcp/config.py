"""The file that names servers, their tools, and what each of them may do. What it does not say is forbidden, or the safest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from builderbrain.config import build_config, check_bounds
from builderbrain.config.yaml_file import read_yaml
from builderbrain.errors import ConfigError
from builderbrain.plan.registry import shipped_domains

Safety = Literal["read_only", "mutating", "meta"]

FOLDER = "${config}"
"""In `command`, `args` and `reads`: the folder of the configuration file."""
ALL = "all"
"""Value of `tools` that stands for every tool that the server lists."""
MAX_SERVERS = 16

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}").fullmatch
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}").fullmatch
_RULES = frozenset({"plan", "step", "term", "if", "after", "earlier", "from", "string"})
"""Rules of every decoding grammar start with these words, so no skill may."""


@dataclass(frozen=True, kw_only=True)
class ToolSettings:
    """What is known of one tool. Keys left out take the server's, and those of a tool that changes things for good.

    Args:
        safety: level of the skill; else the server's.
        confirm: whether a person must say yes; else yes, unless the tool is read_only.
        idempotent: running it twice is as good as once, and there is nothing to take back.
        undo: tool of the same server that takes it back, called with results and arguments of the same name.
        atomic: an error of the tool means that nothing was changed; else such a step ends `unknown`.
        critical: its failure stops the plan.
        timeout_seconds: limit of one call, the start of the server included; else the server's.
        cache_seconds: how long a result may stand for an equal call; only of a read_only tool.
        ignore: keywords of its schema that the server alone enforces, and of which the checker says nothing (`format`, ...).
    """

    safety: Safety | None = None
    confirm: bool | None = None
    idempotent: bool = False
    undo: str | None = None
    atomic: bool = False
    critical: bool = False
    timeout_seconds: float | None = None
    cache_seconds: float | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout_seconds is not None:
            check_bounds(self, {"timeout_seconds": (0.1, 3600)})
        if self.cache_seconds is not None:
            check_bounds(self, {"cache_seconds": (0.1, 86400)})
        if self.undo is not None and self.idempotent:
            raise ConfigError(
                "expected undo or idempotent, got both; idempotent says that there is nothing to undo", field="undo"
            )


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """One server.

    Args:
        command: program, a path or the name of one.
        args: its arguments.
        environment: names of variables that it sees of this process's.
        network: whether it may reach the network.
        reads: files and folders that it may read beside the working root and the system's programs.
        timeout_seconds: limit of one call, the start of the server included.
        memory_gib: address space of each of its processes.
        safety: level of its tools that say nothing else.
        believe_hints: whether its own `readOnlyHint` makes a tool read_only.
        tools: settings of the tools that may be used, by name at the server; None for all of them.
    """

    command: str
    args: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    network: bool = False
    reads: tuple[str, ...] = ()
    timeout_seconds: float = 30.0
    memory_gib: float = 4.0
    safety: Safety = "mutating"
    believe_hints: bool = False
    tools: Mapping[str, ToolSettings] | None = None

    def __post_init__(self) -> None:
        check_bounds(self, {"timeout_seconds": (0.1, 3600), "memory_gib": (0.25, 1024)})
        if not self.command or any("\0" in text for text in (self.command, *self.args, *self.reads)):
            raise ConfigError("expected a program without NUL characters, got none; name one, such as python", field="command")
        for name in self.environment:
            if not _VARIABLE(name):
                raise ConfigError(
                    f"expected names of variables, got {name!r}; write the name alone, its value is taken from the environment",
                    field="environment",
                )

    def settings(self, tool: str) -> ToolSettings | None:
        """Settings of a tool; None when it may not be used."""
        return ToolSettings() if self.tools is None else self.tools.get(tool)


@dataclass(frozen=True, kw_only=True)
class McpConfig:
    """The whole file.

    Args:
        domain: name of the domain that the tools become.
        version: its version; raise it when plans that were kept should not run any more.
        max_steps, max_depth, max_width: limits of its plans.
        servers: by name.
    """

    domain: str
    version: int = 1
    max_steps: int = 8
    max_depth: int = 8
    max_width: int = 4
    servers: Mapping[str, ServerSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_bounds(self, {"version": (1, 999_999), "max_steps": (1, 64), "max_depth": (1, 64), "max_width": (1, 64)})
        if not _NAME(self.domain):
            raise ConfigError(f"expected a name in snake_case, got {self.domain!r}; write one such as desk", field="domain")


def load_mcp_config(path: Path) -> McpConfig:
    """Read a configuration file, YAML or JSON.

    Raises:
        ConfigError: names the key at fault and what it may be.
    """
    raw = read_yaml(path)
    servers = raw.pop("servers", None)
    if not isinstance(servers, Mapping) or not 1 <= len(servers) <= MAX_SERVERS:
        raise ConfigError(
            f"expected servers to be a section with 1 to {MAX_SERVERS} servers by name, got {servers!r:.80}", field="servers"
        )
    config = build_config(McpConfig, raw)
    if any(config.domain == shipped.name for shipped in shipped_domains()):
        raise ConfigError(f"expected a new name, got {config.domain}, a shipped domain; choose another", field="domain")
    folder = str(path.resolve().parent)
    return replace(config, servers={_server_name(name): _server(str(name), server, folder) for name, server in servers.items()})


def _server_name(name: Any) -> str:
    key = f"servers.{name!s:.40}"
    if not isinstance(name, str) or not _NAME(name):
        raise ConfigError(f"expected a name of lower-case letters, digits and _, at most 32, got {name!r:.80}", field=key)
    if name.partition("_")[0] in _RULES:
        raise ConfigError(
            f"a server cannot be called {name}, since grammars have rules of that name; choose another", field=key
        )
    return name


def _server(name: str, raw: Any, folder: str) -> ServerSettings:
    key = f"servers.{name}"
    if not isinstance(raw, Mapping):
        raise ConfigError(f"expected {key} to be a section with command, args, tools, ..., got {raw!r:.80}", field=key)
    if "tools" not in raw:
        raise ConfigError(
            f"expected {key}.tools, a section of the tools that may be used, got nothing; write tools: {{NAME: {{}}}}, "
            f"or tools: {ALL}",
            field=f"{key}.tools",
        )
    plain = {name: value for name, value in raw.items() if name != "tools"}
    server = build_config(ServerSettings, plain, prefix=f"{key}.")
    return replace(
        server,
        command=server.command.replace(FOLDER, folder),
        args=tuple(text.replace(FOLDER, folder) for text in server.args),
        reads=tuple(text.replace(FOLDER, folder) for text in server.reads),
        tools=_tools(f"{key}.tools", raw["tools"]),
    )


def _tools(key: str, raw: Any) -> Mapping[str, ToolSettings] | None:
    if raw == ALL:
        return None
    if not isinstance(raw, Mapping) or not raw or not all(isinstance(name, str) for name in raw):
        raise ConfigError(f"expected {key} to be {ALL} or a section of tools by name, got {raw!r:.80}", field=key)
    found: dict[str, ToolSettings] = {}
    for name, settings in raw.items():
        if not isinstance(settings, Mapping):
            raise ConfigError(
                f"expected {key}.{name} to be a section, got {settings!r:.80}; write {name}: {{}} for the safest settings",
                field=f"{key}.{name}",
            )
        found[name] = build_config(ToolSettings, settings, prefix=f"{key}.{name}.")
    return found
