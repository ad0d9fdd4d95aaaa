"""The tools of `ui_macro`: what a person does with a page, on any driver, one control at a time and never on a guess."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import anyio

from builderbrain.errors import LostAnswerError, ToolError
from builderbrain.tools.base import Results, Tool, ToolContext
from builderbrain.tools.pages.driver import MAX_TEXT_CHARACTERS, Control, PageDriver

_POLL_SECONDS = 0.1
_PATH = re.compile(r"/(?![/\\])[^\s\\\x00-\x1f]*").fullmatch


class PageActions:
    """Actions on the pages of one driver."""

    def __init__(self, driver: PageDriver) -> None:
        self._driver = driver

    @property
    def tools(self) -> Mapping[str, Tool]:
        """Tools by skill."""
        runs: dict[str, Callable[[ToolContext, Mapping[str, Any]], Awaitable[Results]]] = {
            "open": self.open,
            "click": self.click,
            "type": self.type,
            "wait": self.wait,
            "assert": self.check,
            "look": self.look,
        }
        return MappingProxyType({skill: Tool(skill=skill, run=run, network=True) for skill, run in runs.items()})

    async def open(self, _: ToolContext, arguments: Mapping[str, Any]) -> Results:
        """Show the page `page`.

        Raises:
            ToolError: not a path of the site.
        """
        path = arguments["page"]
        if not _PATH(path) or ".." in path.split("/"):
            raise ToolError(f"page must be a path on the site, as /orders, got {path!r}", field="page")
        await self._driver.open(path)
        return await self._where()

    async def click(self, _: ToolContext, arguments: Mapping[str, Any]) -> Results:
        """Click the one control of this role and name.

        Raises:
            ToolError: there is none, there are several, or it is disabled; nothing was clicked.
            LostAnswerError: it was clicked, and what came of it is not known.
        """
        role = arguments["role"]
        control = await self._one(role, arguments["name"])
        if not control.enabled:
            raise ToolError(f"the {role} {arguments['name']!r} is disabled", field="name")
        await self._driver.click(control)
        try:
            return await self._where()
        except ToolError as error:
            raise LostAnswerError(f"the {role} was clicked, and the page cannot be seen: {error.message}") from error

    async def type(self, _: ToolContext, arguments: Mapping[str, Any]) -> Results:
        """Put `text` into the field.

        Raises:
            ToolError: no such field, it is disabled, or the text holds keys in place of characters; nothing was typed.
        """
        text = arguments["text"]
        control = await self._one("field", arguments["field"])
        if not control.enabled:
            raise ToolError(f"the field {arguments['field']!r} is disabled", field="field")
        lines = "\n" if not control.one_line else ""
        refused = next((one for one in text if one not in lines and unicodedata.category(one) in ("Cc", "Co", "Cs")), None)
        if refused is not None:
            raise ToolError(f"text holds U+{ord(refused):04X}, which is a key and no character of this field", field="text")
        return {"value": (await self._driver.put(control, text))[:MAX_TEXT_CHARACTERS]}

    async def wait(self, _: ToolContext, arguments: Mapping[str, Any]) -> Results:
        """Look again and again until something of this role and name is shown.

        Raises:
            ToolError: it was not shown in time.
        """
        began = time.monotonic()
        while True:
            found = await self._driver.find(arguments["role"], arguments["name"])
            waited = time.monotonic() - began
            if found:
                return {"value": found[0].value[:MAX_TEXT_CHARACTERS], "waited_ms": round(waited * 1000)}
            if waited >= arguments["seconds"]:
                named = f"{arguments['role']} {arguments['name']!r}"
                raise ToolError(f"no {named} was shown within {arguments['seconds']} s", field="name")
            await anyio.sleep(_POLL_SECONDS)

    async def check(self, _: ToolContext, arguments: Mapping[str, Any]) -> Results:
        """Whether something is in a state, and holds a value.

        Raises:
            ToolError: it is not, or does not.
        """
        role, name, state = arguments["role"], arguments["name"], arguments["state"]
        found = await self._driver.find(role, name)
        if state == "hidden":
            if found:
                raise ToolError(f"the {role} {name!r} should be hidden and is shown", field="state")
            return {"value": None}
        control = found[0] if found and role == "text" else await self._one(role, name)
        actual = {
            "shown": True,
            "enabled": control.enabled,
            "disabled": not control.enabled,
            "checked": control.checked is True,
            "unchecked": control.checked is False,
        }
        if not actual[state]:
            raise ToolError(f"the {role} {name!r} should be {state} and is not", field="state")
        wanted = arguments.get("value")
        if wanted is not None and " ".join(control.value.split()) != " ".join(wanted.split()):
            raise ToolError(f"the {role} {name!r} should hold {wanted!r} and holds {control.value[:120]!r}", field="value")
        return {"value": control.value[:MAX_TEXT_CHARACTERS]}

    async def look(self, _: ToolContext, __: Mapping[str, Any]) -> Results:
        """What is shown now; nothing when no page is open."""
        view = await self._driver.view()
        if view is None:
            return {"title": None, "page": None, "text": "no page is open"}
        return {"title": view.title, "page": view.page, "text": view.text}

    async def _one(self, role: str, name: str) -> Control:
        found = await self._driver.find(role, name)
        if not found:
            raise ToolError(f"no {role} {name!r} is shown; look at the page", field="name")
        if len(found) > 1:
            raise ToolError(f"there are {len(found)} of the {role} {name!r}; name the one by its id", field="name")
        return found[0]

    async def _where(self) -> Results:
        view = await self._driver.view()
        return {"page": view.page, "title": view.title} if view is not None else {"page": None, "title": None}
