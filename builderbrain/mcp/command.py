"""`python -m builderbrain.mcp {list,approve}`: what servers offer, and the yes to it.

Exit status: 0 everything is as approved, or was approved; 1 something is not approved, changed, or does not answer; 2 unusable
input.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from builderbrain.agent.tool_call import WorkingRoot, definitions_sha256
from builderbrain.errors import BuilderBrainError, ConfigError, ToolError
from builderbrain.mcp.approval import Approval, approve, read_approval
from builderbrain.mcp.catalogue import listed
from builderbrain.mcp.config import McpConfig, load_mcp_config
from builderbrain.mcp.skills import OfferedTool, offered_tools
from builderbrain.plan.faults import nearest

SHOWN_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True)
class ServerListing:
    """What one server lists now. `status` is `approved`, `not approved`, `changed` or `does not answer`."""

    server: str
    status: str
    error: str = ""
    definitions: tuple[Mapping[str, Any], ...] = ()
    offered: tuple[OfferedTool, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        tools = [
            {
                "tool": one.tool,
                "skill": one.skill,
                "reason": one.reason,
                "notes": list(one.notes),
                "schema": one.schema.model_dump(mode="json", exclude_defaults=True) if one.schema is not None else None,
            }
            for one in self.offered
        ]
        return {"server": self.server, "status": self.status, "error": self.error, "tools": tools}


def build_parser() -> argparse.ArgumentParser:
    """The command line's options."""
    parser = argparse.ArgumentParser(
        prog="python -m builderbrain.mcp", description="Tools of MCP servers as node types of plans."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (("list", "start the servers and show what they offer"), ("approve", "say yes to what they list now")):
        one = commands.add_parser(name, help=words)
        one.add_argument("config", type=Path, help="configuration file, YAML or JSON")
        one.add_argument("--server", action="append", default=[], help="only this server; may be repeated")
        one.add_argument("--root", type=Path, help="working root that the servers may read (default: an empty folder)")
        one.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = build_parser().parse_args(arguments)
    try:
        config = load_mcp_config(options.config)
        approval = read_approval(options.config) if options.command == "list" else Approval(servers={})
        for name in options.server:
            if name not in config.servers:
                raise ConfigError(f"there is no server {name} in the file; {nearest(name, config.servers)}", field="server")
        names = options.server or list(config.servers)
        with tempfile.TemporaryDirectory(prefix="builderbrain-mcp-") as empty:
            root = WorkingRoot(options.root if options.root is not None else Path(empty))
            listings = anyio.run(partial(_listings, config, names, root, approval))
        silent = [one for one in listings if one.status == "does not answer"]
        print(
            json.dumps([one.to_json() for one in listings], indent=2) if options.json else "\n".join(map(_described, listings))
        )
        if options.command == "list":
            return 0 if all(one.status == "approved" for one in listings) else 1
        if silent:
            print("error: nothing was approved, since not every server answers; name one with --server", file=sys.stderr)
            return 1
        path = approve(options.config, {one.server: one.definitions for one in listings})
        print(f"approved; wrote {path}", file=sys.stderr)
        return 0
    except BuilderBrainError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2


async def _listings(config: McpConfig, names: Sequence[str], root: WorkingRoot, approval: Approval) -> list[ServerListing]:
    return [await _listing(config, name, root, approval) for name in names]


async def _listing(config: McpConfig, name: str, root: WorkingRoot, approval: Approval) -> ServerListing:
    try:
        definitions = await listed(config, name, root)
    except ToolError as error:
        return ServerListing(server=name, status="does not answer", error=error.message)
    status = "not approved"
    if name in approval.servers:
        status = "approved" if definitions_sha256(definitions) == approval.sha256(name) else "changed"
    offered = offered_tools(name, config.servers[name], definitions)
    return ServerListing(server=name, status=status, definitions=definitions, offered=offered)


def _described(listing: ServerListing) -> str:
    """For a person: everything that the server said is spelled in ASCII, so that nothing looks like what it is not."""
    lines = [f"{listing.server}: {listing.status}{f' ({listing.error})' if listing.error else ''}"]
    for one, definition in zip(listing.offered, listing.definitions, strict=True):
        if one.schema is None:
            lines.append(f"  {_ascii(one.tool)}: cannot be used: {one.reason}")
        else:
            arguments = ", ".join(
                f"{name}{'' if declared.required else '?'}: {declared.type}" for name, declared in one.schema.arguments.items()
            )
            results = ", ".join(f"{name}: {declared.type}" for name, declared in one.schema.results.items())
            asks = ", asks a person" if one.schema.confirm else ""
            lines.append(f"  {one.skill}({arguments}) -> {results}  [{one.schema.safety}{asks}]")
        lines.extend(f"      {note}" for note in one.notes)
        said = definition.get("description")
        if isinstance(said, str) and said:
            lines.append(f"      the server says: {_ascii(said)}")
    return "\n".join(lines)


def _ascii(text: str) -> str:
    spelled = ascii(text)
    return spelled if len(spelled) <= SHOWN_CHARACTERS else f"{spelled[:SHOWN_CHARACTERS]}... ({len(text)} characters)"
