"""A real browser, through the W3C WebDriver protocol: chromedriver or the like listens where the configuration says.

The page is read as the browser has it now, elements are found in it by the rules of `controls`, and the browser says what is
shown, enabled and held. The browser looks no other host up, and a page elsewhere is left at once. No script comes from a plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from builderbrain.errors import GarbageAnswerError, LostAnswerError, ToolError
from builderbrain.tools.base import cut_text
from builderbrain.tools.pages.controls import find, find_field, is_hidden, names_of, role_of, title_of
from builderbrain.tools.pages.driver import Control, View
from builderbrain.tools.pages.tree import Element, parse_page
from builderbrain.tools.web.exchange import exchange
from builderbrain.tools.web.origin import Origin

MAX_PAGE_BYTES = 8 * 1024 * 1024
MAX_FOUND = 20
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""Name of an element's id in answers, fixed by the protocol."""


class WebDriver:
    """A `PageDriver` in a browser. The browser starts with the first page and ends with `close`.

    Args:
        service: where the driver program listens.
        arguments: of the browser, from the configuration.
        seconds: longest wait for the driver program.
    """

    def __init__(self, origin: Origin, service: Origin, *, arguments: tuple[str, ...] = (), seconds: float = 15.0) -> None:
        self._origin = origin
        self._service = service
        self._arguments = arguments
        self._seconds = seconds
        self._session: str | None = None
        self._opened = False

    async def open(self, path: str) -> None:
        if self._session is None:
            await self._start()
        await self._ask("POST", "/url", {"url": self._origin.base + path})
        await self._stay()
        self._opened = True

    async def find(self, role: str, name: str) -> list[Control]:
        if not self._opened:
            return []
        page = await self._page()
        found = find_field(page, name) if role == "field" else find(page, role, name)
        controls = [await self._control(element) for element in found[:MAX_FOUND] if not is_hidden(element)]
        return [control for control in controls if control is not None]

    async def click(self, control: Control) -> None:
        await self._ask("POST", f"/element/{control.handle}/click", {})
        try:
            await self._stay()
        except ToolError as error:
            raise LostAnswerError(f"it was clicked: {error.message}") from error

    async def put(self, control: Control, text: str) -> str:
        element = f"/element/{control.handle}"
        if await self._ask("GET", f"{element}/name") == "select":
            await self._choose(element, text)
            return str(await self._chosen(element))
        await self._ask("POST", f"{element}/clear", {})
        if text:
            await self._ask("POST", f"{element}/value", {"text": text})
        await self._stay()
        return str(await self._ask("GET", f"{element}/property/value"))

    async def view(self) -> View | None:
        if not self._opened:
            return None
        page = await self._page()
        body = await self._ask("POST", "/element", {"using": "css selector", "value": "body"})
        shown = str(await self._ask("GET", f"/element/{body[_ELEMENT]}/text"))
        controls = [
            f"{role}: {(names_of(page, element) or ['without a name'])[0]}"
            for element in page.elements()
            if (role := role_of(element)) is not None and not is_hidden(element)
        ]
        texts = [f"text: {line.strip()}" for line in shown.splitlines() if line.strip()]
        return View(title=title_of(page), page=self._path(await self._url()), text=cut_text("\n".join([*texts, *controls])))

    async def close(self) -> None:
        if self._session is not None:
            await self._ask("DELETE", "")
        self._session, self._opened = None, False

    async def _start(self) -> None:
        rules = f"MAP * ~NOTFOUND, EXCLUDE {self._origin.host}"
        arguments = ["--headless=new", "--disable-gpu", f"--host-resolver-rules={rules}", *self._arguments]
        wanted = {
            "browserName": "chrome",
            "unhandledPromptBehavior": "dismiss",
            "timeouts": {"pageLoad": int(self._seconds * 1000), "implicit": 0, "script": 0},
            "goog:chromeOptions": {"args": arguments},
        }
        value = await self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = str(value["sessionId"])

    async def _stay(self) -> None:
        """Leave a page that is not of the site.

        Raises:
            ToolError: the browser was elsewhere.
        """
        url = await self._url()
        if url != "about:blank" and self._origin.admits(httpx.URL(url)):
            return
        await self._ask("POST", "/url", {"url": "about:blank"})
        self._opened = False
        raise ToolError(f"this leads to {urlsplit(url).netloc or url[:80]}, which is not of the site; the page was left")

    async def _url(self) -> str:
        return str(await self._ask("GET", "/url"))

    def _path(self, url: str) -> str:
        parts = urlsplit(url)
        path = parts.path.removeprefix(self._origin.path) or "/"
        return f"{path}?{parts.query}" if parts.query else path

    async def _page(self) -> Element:
        return parse_page(str(await self._ask("GET", "/source")))

    async def _control(self, element: Element) -> Control | None:
        """The element as the browser has it; None when it is not shown, or the page changed since it was read."""
        try:
            found = await self._ask("POST", "/element", {"using": "xpath", "value": element.path})
            at = f"/element/{found[_ELEMENT]}"
            if await self._ask("GET", f"{at}/name") != element.tag or not await self._ask("GET", f"{at}/displayed"):
                return None
            if " ".join(str(await self._ask("GET", f"{at}/property/textContent")).split()) != " ".join(
                element.raw_text.split()
            ):
                return None
            role = role_of(element)
            value = str(await self._ask("GET", f"{at}/property/value")) if role == "field" else element.text
            if element.tag == "select":
                value = str(await self._chosen(at))
            return Control(
                handle=found[_ELEMENT],
                value=value,
                enabled=bool(await self._ask("GET", f"{at}/enabled")),
                checked=bool(await self._ask("GET", f"{at}/selected")) if role == "checkbox" else None,
                one_line=element.tag != "textarea",
            )
        except _GoneError:
            return None

    async def _chosen(self, at: str) -> str:
        options = await self._ask("POST", f"{at}/elements", {"using": "css selector", "value": "option:checked"})
        return str(await self._ask("GET", f"/element/{options[0][_ELEMENT]}/text")) if options else ""

    async def _choose(self, at: str, text: str) -> None:
        options = await self._ask("POST", f"{at}/elements", {"using": "css selector", "value": "option"})
        for option in options[:200]:
            if str(await self._ask("GET", f"/element/{option[_ELEMENT]}/text")).casefold() == text.casefold():
                await self._ask("POST", f"/element/{option[_ELEMENT]}/click", {})
                return
        raise ToolError(f"the choice has no option {text!r}", field="text")

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        if self._session is None:
            raise ToolError("no page is open; open one first")
        return await self._send(method, f"/session/{self._session}{path}", body)

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        answer = await exchange(
            self._service,
            method,
            self._service.base + path,
            seconds=self._seconds,
            headers={"content-type": "application/json; charset=utf-8"},
            content=None if body is None else json.dumps(body).encode(),
            max_bytes=MAX_PAGE_BYTES,
        )
        try:
            value = json.loads(answer.body)["value"]
        except (ValueError, KeyError, TypeError) as error:
            raise GarbageAnswerError(f"the browser's driver answered {answer.status} without a value") from error
        if answer.status != 200:
            code = value.get("error", "") if isinstance(value, dict) else ""
            said = str(value.get("message", "") if isinstance(value, dict) else value).partition("\n")[0][:200]
            if code in ("no such element", "stale element reference"):
                raise _GoneError(f"it is gone from the page: {said}")
            raise ToolError(f"the browser refuses: {code}: {said}")
        return value


class _GoneError(ToolError):
    """An element is not on the page any more."""
