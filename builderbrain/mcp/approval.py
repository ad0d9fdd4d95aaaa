"""What a person approved: for each server the tools that it listed, word for word, in a file beside the configuration.

Domains are made of this file alone, without a server running; and a server that lists anything else when it is called is not
called. So a server can neither slip a tool in nor change one under the name of another day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builderbrain.agent.tool_call import definitions_sha256
from builderbrain.errors import ConfigError
from builderbrain.storage import write_atomic

FORMAT = "builderbrain-mcp-approval-1"
MAX_BYTES = 64 * 1024**2

Definitions = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Approval:
    """The approved list of each server."""

    servers: Mapping[str, Definitions]

    def sha256(self, server: str) -> str:
        """Hash of a server's list."""
        return definitions_sha256(self.servers[server])


def approval_path(config: Path) -> Path:
    """`mcp.approved.json` for `mcp.yaml`."""
    return config.with_name(f"{config.stem}.approved.json")


def read_approval(config: Path) -> Approval:
    """What was approved for a configuration file; nothing when there is no such file yet.

    Raises:
        ConfigError: the file is not as `approve` wrote it.
    """
    path = approval_path(config)
    if not path.exists():
        return Approval(servers={})
    again = f"approve the servers again: python -m builderbrain.mcp approve {config.name}"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        read = json.loads(path.read_text(encoding="utf-8"))
        if read["format"] != FORMAT:
            raise ValueError(f"expected the format {FORMAT}")
        servers = {name: tuple(server["tools"]) for name, server in read["servers"].items()}
        hashes = {name: server["sha256"] for name, server in read["servers"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path.name} cannot be read ({type(error).__name__}: {error}); {again}", field="approval") from error
    for name, definitions in servers.items():
        if not all(isinstance(one, dict) for one in definitions) or definitions_sha256(definitions) != hashes[name]:
            raise ConfigError(
                f"{path.name}: the tools of {name} do not have their hash, so they were edited; {again}", field=name
            )
    return Approval(servers=servers)


def approve(config: Path, listed: Mapping[str, Definitions]) -> Path:
    """Write what servers list now as approved, beside what others were approved with. Returns the file.

    Raises:
        ConfigError: the file that is there cannot be read or written.
    """
    path = approval_path(config)
    servers = {**read_approval(config).servers, **listed}
    content = {
        "format": FORMAT,
        "servers": {
            name: {"sha256": definitions_sha256(definitions), "tools": list(definitions)}
            for name, definitions in sorted(servers.items())
        },
    }
    try:
        write_atomic(path, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("ascii"))
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be written: {error.strerror}", field="approval") from error
    return path
