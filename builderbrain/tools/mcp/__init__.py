"""Tools of servers that speak the Model Context Protocol.

A server is a program of somebody else. It runs in the sandbox, is told what the plan says and nothing more, and is dead when
the call is over, or what keeps it for further calls. What it sends is bounded in bytes and messages before it is read.
"""

from __future__ import annotations

from builderbrain.tools.mcp.definitions import definitions_sha256
from builderbrain.tools.mcp.kept import KeptSessions
from builderbrain.tools.mcp.results import DeclaredResult as McpDeclaredResult
from builderbrain.tools.mcp.server import McpServer
from builderbrain.tools.mcp.tool import McpSkill, list_definitions, mcp_tool

__all__ = ["KeptSessions", "McpDeclaredResult", "McpServer", "McpSkill", "definitions_sha256", "list_definitions", "mcp_tool"]
