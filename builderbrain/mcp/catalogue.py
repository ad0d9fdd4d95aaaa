"""From a configuration and what was approved to a domain with its grammar and tools, ready for the checker and the executor."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from builderbrain.agent.tool_call import KeptSessions, McpServer, McpSkill, Tool, WorkingRoot, list_definitions, mcp_tool
from builderbrain.errors import ConfigError
from builderbrain.mcp.approval import Approval, read_approval
from builderbrain.mcp.config import McpConfig, ServerSettings, load_mcp_config
from builderbrain.mcp.skills import OfferedTool, offered_tools
from builderbrain.plan import Domain, added_domain
from builderbrain.plan.consistency import problems
from builderbrain.plan.faults import nearest
from builderbrain.plan.generate_grammar import grammar_source
from builderbrain.plan.runtime_domain import runtime_domain
from builderbrain.plan.schema import DomainSchema
from builderbrain.storage import canonical_json

LANGUAGE = 2
MAX_SKILLS = 64


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """A domain made of servers' tools.

    Args:
        schema: the domain in the schema language.
        domain: its tables and planchecker.
        grammar: EBNF of its text form.
        skills: how each skill is called.
        offered: what became of every approved tool, by server.
    """

    schema: DomainSchema
    domain: Domain
    grammar: str
    skills: Mapping[str, McpSkill]
    offered: Mapping[str, tuple[OfferedTool, ...]]

    @property
    def tools(self) -> Mapping[str, Tool]:
        """Tools by skill, for the executor; each call has a process of its own."""
        return {name: mcp_tool(skill, _variables) for name, skill in self.skills.items()}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Mapping[str, Tool]]:
        """Tools by skill that share processes: until the end of the `async with` each server has one for skills that only look
        and one for those that change things, each used by one call at a time."""
        async with KeptSessions() as sessions:
            yield {name: mcp_tool(skill, _variables, sessions) for name, skill in self.skills.items()}

    @contextmanager
    def available(self) -> Iterator[Domain]:
        """Have the domain exist until the end of the `with`: for `check`, `checked`, `parse_text`, `load_grammar` and `resume`.

        Raises:
            SchemaError: another domain of this name and version is there.
        """
        with added_domain(self.domain, self.grammar) as domain:
            yield domain


def load_catalogue(path: Path) -> Catalogue:
    """The domain of a configuration file, made of what was approved; no server is started.

    Raises:
        ConfigError: a key is wrong, a server was not approved, a tool that the file names is none or cannot be used, or no
            tool can be.
    """
    config = load_mcp_config(path)
    approval = read_approval(path)
    for name in config.servers:
        if name not in approval.servers:
            raise ConfigError(
                f"the server {name} was not approved; look at its tools with python -m builderbrain.mcp list {path.name}, "
                f"and approve them with python -m builderbrain.mcp approve {path.name}",
                field=f"servers.{name}",
            )
    offered = {name: offered_tools(name, server, approval.servers[name]) for name, server in config.servers.items()}
    _check_named(config, offered)
    schema = _schema(config, offered)
    grammar = grammar_source(schema)
    pins = {name: approval.sha256(name) for name in config.servers}
    dumped = schema.model_dump(mode="json")
    for skill in dumped["skills"].values():
        if skill["cache_seconds"] is None:  # so that what began before there was this key is the same domain, and resumes
            del skill["cache_seconds"]
    known = {"schema": dumped, "approved": pins}
    return Catalogue(
        schema=schema,
        domain=runtime_domain(schema, hashlib.sha256(canonical_json(known)).hexdigest()),
        grammar=grammar,
        skills=dict(_skills(config, approval, offered)),
        offered=offered,
    )


async def listed(config: McpConfig, server: str, root: WorkingRoot) -> tuple[Mapping[str, Any], ...]:
    """Start a server and ask for its tools.

    Raises:
        ToolError: it does not say.
    """
    settings = config.servers[server]
    return await list_definitions(
        mcp_server(server, settings), root, timeout_seconds=settings.timeout_seconds, environment=_variables
    )


def mcp_server(name: str, settings: ServerSettings) -> McpServer:
    """How the server of a section is started."""
    return McpServer(
        name=name,
        command=(settings.command, *settings.args),
        environment=settings.environment,
        network=settings.network,
        reads=settings.reads,
        memory_bytes=int(settings.memory_gib * 1024**3),
    )


def _variables(names: Sequence[str]) -> Mapping[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _check_named(config: McpConfig, offered: Mapping[str, tuple[OfferedTool, ...]]) -> None:
    for server, settings in config.servers.items():
        there = {one.tool: one for one in offered[server]}
        for tool, wanted in (settings.tools or {}).items():
            key = f"servers.{server}.tools.{tool}"
            if tool not in there:
                names = [ascii(name)[1:-1][:64] for name in there]
                raise ConfigError(f"{key}: the server has no such tool; {nearest(tool, names)}", field=key)
            if there[tool].skill is None:
                raise ConfigError(f"{key} cannot be used: {there[tool].reason}; leave it out, or ignore the keyword", field=key)
            if wanted.undo is not None and (wanted.undo not in there or there[wanted.undo].skill is None):
                usable = [name for name, one in there.items() if one.skill is not None]
                raise ConfigError(
                    f"{key}.undo: {wanted.undo} is no tool that can be used; {nearest(wanted.undo, usable)}",
                    field=f"{key}.undo",
                )


def _schema(config: McpConfig, offered: Mapping[str, tuple[OfferedTool, ...]]) -> DomainSchema:
    usable = [one for several in offered.values() for one in several if one.skill is not None and one.schema is not None]
    names = [one.skill for one in usable]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two servers have a skill {twice}; call one of the servers something else", field="servers")
    if not 1 <= len(usable) <= MAX_SKILLS:
        raise ConfigError(
            f"expected 1 to {MAX_SKILLS} tools that can be used, got {len(usable)}; name those you want under tools",
            field="servers",
        )
    limits = {"max_steps": config.max_steps, "max_depth": config.max_depth, "max_width": config.max_width}
    raw = {
        "language": LANGUAGE,
        "domain": config.domain,
        "version": config.version,
        "summary": f"Tools of {len(config.servers)} MCP servers.",
        "limits": limits,
        "edges": {"data": "any", "condition": "any", "sequence": "any"},
        "skills": {one.skill: one.schema for one in usable},
    }
    try:
        schema = DomainSchema.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("; ".join(part["msg"] for part in error.errors()), field="servers") from error
    found = list(problems(schema))
    if found:
        raise ConfigError("; ".join(map(str, found)), field=found[0].key)
    return schema


def _skills(
    config: McpConfig, approval: Approval, offered: Mapping[str, tuple[OfferedTool, ...]]
) -> Iterator[tuple[str, McpSkill]]:
    for name, settings in config.servers.items():
        server = mcp_server(name, settings)
        for one in offered[name]:
            wanted = settings.settings(one.tool)
            if one.skill is not None and wanted is not None:
                yield (
                    one.skill,
                    McpSkill(
                        skill=one.skill,
                        tool=one.tool,
                        server=server,
                        approved=approval.servers[name],
                        arguments=one.arguments or {},
                        results=one.results or {},
                        atomic=wanted.atomic,
                    ),
                )
