"""From a tool of a server to a tool of this runtime: a call is one session, and begins with a look at what the server lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio

from builderbrain.errors import ServerChangedError, ToolError, ToolTimeoutError, UncertainToolError
from builderbrain.plan.faults import shown
from builderbrain.tools.base import Results, Tool, ToolContext
from builderbrain.tools.mcp.definitions import Definition, changes, definitions_sha256
from builderbrain.tools.mcp.kept import KeptSessions
from builderbrain.tools.mcp.results import DeclaredResult, answer_text, results_of
from builderbrain.tools.mcp.server import McpServer
from builderbrain.tools.mcp.session import Session, with_session
from builderbrain.tools.root import WorkingRoot

Environment = Callable[[Sequence[str]], Mapping[str, str]]
"""Gives the variables of these names that are set."""


@dataclass(frozen=True, kw_only=True)
class McpSkill:
    """A tool of a server as a skill.

    Args:
        skill: name in plans.
        tool: name at the server.
        approved: every tool that the server listed when it was approved; it must list the very same when it is called.
        arguments: names at the server by names in plans.
        results: structured results by name, beside the text.
        atomic: whether an error of the tool means that nothing was changed.
    """

    skill: str
    tool: str
    server: McpServer
    approved: tuple[Definition, ...]
    arguments: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, DeclaredResult] = field(default_factory=dict)
    atomic: bool = False


def mcp_tool(skill: McpSkill, environment: Environment, sessions: KeptSessions | None = None) -> Tool:
    """The tool that calls it. What the server says of itself beside its answer is not believed; its requests are refused.

    Args:
        sessions: keeps the server's process for the next call; None starts one for each call.
    """
    pinned = definitions_sha256(skill.approved)

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Results:
        given = {skill.arguments[name]: _plain_list(value) for name, value in arguments.items() if value is not None}

        async def use(session: Session) -> Results:
            listed = await session.definitions()
            if definitions_sha256(listed) != pinned:
                raise ServerChangedError(
                    f"the tools of the server {skill.server.name} changed since they were approved: "
                    f"{changes(skill.approved, listed)}; look at them, and approve them again"
                )
            answer = await session.call(skill.tool, given, context.key)
            if answer.is_error:
                kind = ToolError if skill.atomic or not context.writes else UncertainToolError
                raise kind(f"{skill.skill} failed: {shown(answer_text(answer))}")
            return results_of(answer, skill.results)

        root, variables = context.root.folder, environment(skill.server.environment)
        if sessions is not None:
            return await sessions.use(skill.server, root, writes=context.writes, environment=variables, use=use)
        return await with_session(
            skill.server,
            root,
            writes=context.writes,
            timeout_seconds=context.timeout_seconds,
            environment=variables,
            use=use,
        )

    return Tool(skill=skill.skill, run=run, network=skill.server.network)


async def list_definitions(
    server: McpServer, root: WorkingRoot, *, timeout_seconds: float, environment: Environment
) -> tuple[Definition, ...]:
    """What a server lists, asked in a process that may change nothing.

    Raises:
        ToolError: it cannot be started, broke the protocol, or lists too much.
        ToolTimeoutError: it did not answer in time.
    """
    try:
        with anyio.fail_after(timeout_seconds):
            return await with_session(
                server,
                root.folder,
                writes=False,
                timeout_seconds=timeout_seconds,
                environment=environment(server.environment),
                use=Session.definitions,
            )
    except TimeoutError:
        raise ToolTimeoutError(f"the server {server.name} did not list its tools within {timeout_seconds:g} s") from None


def _plain_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
