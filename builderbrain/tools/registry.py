"""From a domain to its tools: the tool of the skill `search` is `TOOL` in `builderbrain.tools.search`.

So a new tool is one entry in the domain's schema and one file here. Module names come from generated tables, never from a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from builderbrain.errors import SchemaError
from builderbrain.plan.domain import Domain
from builderbrain.plan.registry import get_domain
from builderbrain.tools.base import Tool
from builderbrain.tools.configured import CONFIGURED, ToolSettings, configured_tools


def tools_of(name: str, version: int, settings: ToolSettings | None = None) -> Mapping[str, Tool]:
    """Tools by skill, one for every skill of the domain.

    Raises:
        SchemaError: there is no such domain, or a skill has no tool.
        ConfigError: the settings lack what the domain needs.
    """
    return configured_tools(name, version, settings or ToolSettings()) if name in CONFIGURED else _fixed_tools(name, version)


@lru_cache(maxsize=32)
def _fixed_tools(name: str, version: int) -> Mapping[str, Tool]:
    domain: Domain = get_domain(name, version)
    return MappingProxyType({skill: _tool(skill) for skill in domain.skills})


def _tool(skill: str) -> Tool:
    module_name = f"builderbrain.tools.{skill}"
    try:
        tool = getattr(import_module(module_name), "TOOL", None)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        tool = None
    if not isinstance(tool, Tool) or tool.skill != skill:
        raise SchemaError(
            f"the skill {skill} has no tool; expected TOOL = Tool(skill={skill!r}, ...) in {module_name}", field=skill
        )
    return tool
