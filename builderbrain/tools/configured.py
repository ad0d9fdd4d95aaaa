"""Tools that need a configuration: where an API is, which site, which sources. No plan can say any of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builderbrain.errors import ConfigError
from builderbrain.plan.registry import get_domain
from builderbrain.tools.api.client import ApiSettings
from builderbrain.tools.api.domain import SHIPPED, api_tools
from builderbrain.tools.base import Tool
from builderbrain.tools.chat.sayings import chat_tools
from builderbrain.tools.chat.sources import Source
from builderbrain.tools.pages.actions import PageActions
from builderbrain.tools.pages.driver import PageDriver

CONFIGURED = frozenset({*SHIPPED, "ui_macro", "chat_social"})
"""Domains whose tools are made from settings."""


@dataclass(frozen=True, kw_only=True)
class ToolSettings:
    """What tools need to know of the world.

    Args:
        api: where the API of `api_json` is.
        pages: what shows the site of `ui_macro` (`SiteSettings.driver`); whoever makes it closes it.
        sources: what may be cited in `chat_social`; none is enough.
    """

    api: ApiSettings | None = None
    pages: PageDriver | None = None
    sources: tuple[Source, ...] = ()


def configured_tools(name: str, version: int, settings: ToolSettings) -> Mapping[str, Tool]:
    """Tools by skill, one for every skill of the domain.

    Raises:
        ConfigError: the settings lack what the domain needs.
        SchemaError: there is no such domain.
    """
    domain = get_domain(name, version)
    if name in SHIPPED:
        if settings.api is None:
            raise ConfigError(f"{name} calls a server; give its base_url", field="api.base_url")
        return api_tools(domain, settings.api)
    if name == "ui_macro":
        if settings.pages is None:
            raise ConfigError(f"{name} uses the pages of a site; give a driver of them", field="pages")
        return PageActions(settings.pages).tools
    return chat_tools(settings.sources)
