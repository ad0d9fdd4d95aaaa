"""Domains made of the tools of MCP servers: which servers, which of their tools, what each may do, and what a person approved.

catalogue = load_catalogue(Path("mcp.yaml"))
with catalogue.available() as domain:
    report = await run_plan(checked(plan, granted=...), root, tools=catalogue.tools, runtime=...)
"""

from __future__ import annotations

from builderbrain.mcp.approval import Approval, approve, read_approval
from builderbrain.mcp.catalogue import Catalogue, load_catalogue
from builderbrain.mcp.config import McpConfig, ServerSettings, ToolSettings, load_mcp_config

__all__ = [
    "Approval",
    "Catalogue",
    "McpConfig",
    "ServerSettings",
    "ToolSettings",
    "approve",
    "load_catalogue",
    "load_mcp_config",
    "read_approval",
]
