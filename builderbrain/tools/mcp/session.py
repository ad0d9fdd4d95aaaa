"""One session with one server: a confined process, the protocol's handshake, a few requests, and the end of the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from builderbrain.errors import BrokenToolError, BuilderBrainError, SandboxError, ToolError
from builderbrain.plan.faults import shown
from builderbrain.tools.mcp.definitions import Definition
from builderbrain.tools.mcp.link import Link
from builderbrain.tools.mcp.server import McpServer
from builderbrain.tools.process import open_process, refusal

if TYPE_CHECKING:
    import mcp_types
    from mcp import ClientSession

MAX_PAGES = 16
MAX_TOOLS = 256
KEY_FIELD = "builderbrain/idempotency-key"
"""Where a call with effects carries its key, in the `_meta` of the request."""
_END_SECONDS = 1.0

T = TypeVar("T")


class Session:
    """Requests to a server that has said hello.

    Attributes:
        calling: whether a tool call was sent. From then on the server may have done something.
    """

    def __init__(self, session: ClientSession, link: Link) -> None:
        self._session = session
        self._link = link
        self.calling = False

    def renew(self) -> None:
        """Another call begins: what the server may send is counted anew."""
        self._link.renew()
        self.calling = False

    async def definitions(self) -> tuple[Definition, ...]:
        """Every tool that the server lists.

        Raises:
            ToolError: there are too many.
        """
        import mcp_types

        found: list[Definition] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            request = mcp_types.ListToolsRequest(params=mcp_types.PaginatedRequestParams(cursor=cursor))
            page = await self._session.send_request(request, mcp_types.ListToolsResult)
            found.extend(tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools)
            if len(found) > MAX_TOOLS:
                break
            cursor = page.next_cursor
            if cursor is None:
                return tuple(found)
        raise ToolError(f"it lists more than {MAX_TOOLS} tools, or more than {MAX_PAGES} pages of them; use a smaller server")

    async def call(self, name: str, arguments: Mapping[str, Any], key: str | None) -> mcp_types.CallToolResult:
        """Call a tool. The session's own `call_tool` is passed by: it would run the server's schema, and its patterns, here."""
        import mcp_types

        meta = {"_meta": {KEY_FIELD: key}} if key is not None else {}
        params = mcp_types.CallToolRequestParams.model_validate({"name": name, "arguments": dict(arguments), **meta})
        self.calling = True
        return await self._session.send_request(mcp_types.CallToolRequest(params=params), mcp_types.CallToolResult)


async def with_session(
    server: McpServer,
    root: Path,
    *,
    writes: bool,
    timeout_seconds: float,
    environment: Mapping[str, str],
    use: Callable[[Session], Awaitable[T]],
) -> T:
    """Start a server, do something with it, and end it with all it started. Whoever calls keeps the time by cancelling.

    Args:
        root: folder in which the server starts; `writes` says whether it may change it.
        environment: variables by name that the server sees.

    Raises:
        ToolError: the server cannot be started, ended, broke the protocol, or refused; nothing was called.
        BrokenToolError: the same, after a tool call was sent.
        SandboxError: this machine cannot confine it.
        what `use` raises of the project's errors.
    """
    try:
        from mcp import ClientSession
    except ImportError:
        raise ToolError("tools of MCP servers need the package mcp; pip install 'builderbrain[mcp]'") from None

    session: Session | None = None
    results: list[T] = []
    failure: Exception | None = None
    async with open_process(
        server.command,
        folder=str(root),
        timeout_seconds=timeout_seconds,
        confinement=server.confinement(root, writes=writes),
        environment=environment,
        search=_beside_python(),
        listens=True,
    ) as process:
        link = Link(process)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(link.read)
                group.start_soon(link.write)
                group.start_soon(link.read_error)
                async with ClientSession(link.incoming, link.outgoing) as speaking:
                    session = Session(speaking, link)
                    try:
                        await speaking.initialize()
                        results.append(await use(session))
                    except Exception as error:  # noqa: BLE001 - said in words below, outside the groups
                        failure = error
                group.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - the protocol's own defect, said in words below
            failure = failure or error
        finally:
            link.close()
        if results:
            return results[0]
        if isinstance(failure, BuilderBrainError):
            raise failure
        with anyio.move_on_after(_END_SECONDS):
            await process.wait()
        refused = refusal(process.returncode, bytes(link.error))
        status = process.returncode
    if refused is not None:
        raise SandboxError(f"the server {server.name} cannot be started: {refused}")
    kind = BrokenToolError if session is not None and session.calling else ToolError
    raise kind(f"the server {server.name} {_why(link, failure, status)}")


def _why(link: Link, failure: Exception | None, status: int | None) -> str:
    from mcp.shared.exceptions import MCPError
    from mcp_types import CONNECTION_CLOSED

    if link.broken is not None:
        return f"{link.broken} and was stopped"
    if isinstance(failure, MCPError) and failure.code != CONNECTION_CLOSED:
        return f"refused with code {failure.code}: {shown(failure.message)}"
    if isinstance(failure, MCPError):
        said = bytes(link.error).decode("utf-8", "replace").strip().rpartition("\n")[2]
        ended = f"ended with status {status}" if status is not None else "closed its output"
        return f"{ended} before it answered{f'; it said {shown(said)}' if said else ''}"
    return f"answered with what is no answer of the protocol ({type(failure).__name__})"


def _beside_python() -> tuple[str, ...]:
    import sys

    return (str(Path(sys.executable).parent),)
