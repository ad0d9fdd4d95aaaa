"""The tools of a domain that was written from an OpenAPI file, for one server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio

from builderbrain.errors import SchemaError
from builderbrain.plan.assets import asset_root
from builderbrain.plan.domain import Domain
from builderbrain.plan.openapi.document import Document
from builderbrain.plan.openapi.domain_file import EXPLAIN
from builderbrain.plan.openapi.operations import read_operations
from builderbrain.plan.openapi.write import open_document
from builderbrain.tools.api.client import ApiOperation, ApiSettings
from builderbrain.tools.api.problem import problem_object
from builderbrain.tools.base import Results, Tool, ToolContext

SHIPPED = {"api_json": "schemas/api_json/bookshop.openapi.yaml"}
"""OpenAPI files of the domains that are shipped, below the folder that holds `schemas/`."""


def api_tools(
    domain: Domain,
    settings: ApiSettings,
    *,
    openapi: Path | None = None,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Mapping[str, Tool]:
    """Tools by skill, one for every skill of the domain.

    Args:
        openapi: the file that the domain was written from; by default the shipped one.

    Raises:
        SchemaError: the file gives other skills than the domain has, or cannot be read.
    """
    if openapi is None:
        if domain.name not in SHIPPED:
            raise SchemaError(f"no OpenAPI file of {domain.name} is shipped; name the one it was written from", field="openapi")
        openapi = asset_root() / SHIPPED[domain.name]
    document = open_document(openapi)
    operations, _ = read_operations(document)
    found = {operation.skill: operation for operation in operations}
    if set(found) | {EXPLAIN} != set(domain.skills):
        differing = sorted((set(found) | {EXPLAIN}) ^ set(domain.skills))
        raise SchemaError(
            f"{openapi.name} and {domain.name} differ in {', '.join(differing)}; write the domain from it again",
            field="openapi",
        )
    for skill, operation in found.items():
        if list(operation.arguments) != list(domain.skills[skill].arguments):
            raise SchemaError(
                f"{openapi.name} and {domain.name} differ in the arguments of {skill}; write the domain from it again",
                field="openapi",
            )
    tools = {skill: _tool(document, operation, settings, sleep) for skill, operation in found.items()}
    return MappingProxyType({**tools, EXPLAIN: Tool(skill=EXPLAIN, run=explain)})


def _tool(document: Document, operation: Any, settings: ApiSettings, sleep: Callable[[float], Awaitable[None]]) -> Tool:
    called = ApiOperation(document, operation, settings, sleep=sleep)
    return Tool(skill=operation.skill, run=called.run, network=True)


async def explain(context: ToolContext, _: Mapping[str, Any]) -> Results:
    """The error object of the failure that this is the fallback for."""
    problem = problem_object(context.failure)
    return {"body": json.dumps(problem, ensure_ascii=False), "status": problem.get("status"), "code": problem["code"]}
