"""Pages without a browser: fetched, parsed, and acted on as far as markup alone says what a click does.

Links, forms with GET and POST, checkboxes, choices, cookies and `<meta http-equiv=refresh>`. No script runs, so a page that
needs one does less here than in a browser, and never more.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from urllib.parse import urlencode, urljoin, urlsplit

from builderbrain.errors import GarbageAnswerError, ToolError
from builderbrain.tools.base import cut_text
from builderbrain.tools.pages.controls import described, find, find_field, is_hidden, role_of, title_of
from builderbrain.tools.pages.driver import Control, View
from builderbrain.tools.pages.tree import Element, parse_page
from builderbrain.tools.web.exchange import exchange
from builderbrain.tools.web.origin import Origin

_REFRESH = re.compile(r"\s*(\d{1,4})\s*(?:[;,]\s*(?:url\s*=\s*)?['\"]?([^'\"]*))?", re.IGNORECASE).match


class ParsedPages:
    """A `PageDriver` over the parsed page.

    Args:
        seconds: longest wait for an answer of the site.
        now: the clock that refreshes go by.
    """

    def __init__(self, origin: Origin, *, seconds: float = 15.0, now: Callable[[], float] = time.monotonic) -> None:
        self._origin = origin
        self._seconds = seconds
        self._now = now
        self._page: Element | None = None
        self._url = ""
        self._values: dict[Element, str] = {}
        self._checked: dict[Element, bool] = {}
        self._cookies: dict[str, str] = {}
        self._refresh: tuple[float, str] | None = None

    async def open(self, path: str) -> None:
        await self._load("GET", self._origin.base + path)

    async def find(self, role: str, name: str) -> list[Control]:
        if self._refresh is not None and self._now() >= self._refresh[0]:
            await self._load("GET", self._refresh[1])
        if self._page is None:
            return []
        found = find_field(self._page, name) if role == "field" else find(self._page, role, name)
        return [self._control(element) for element in found if not is_hidden(element)]

    async def click(self, control: Control) -> None:
        element: Element = control.handle
        role = role_of(element)
        kind = element.attributes.get("type", "").lower()
        if role == "link":
            await self._load("GET", urljoin(self._url, element.attributes["href"]))
        elif role == "checkbox":
            self._check(element, kind)
        elif role == "button" and kind not in ("button", "reset") and (form := element.inside("form")) is not None:
            await self._submit(form, element)

    async def put(self, control: Control, text: str) -> str:
        element: Element = control.handle
        if "readonly" in element.attributes:
            raise ToolError("the field cannot be changed; it is there to be read", field="field")
        if element.tag == "select":
            options = [one for one in element.elements() if one.tag == "option" and one.text.casefold() == text.casefold()]
            if not options:
                raise ToolError(f"the choice has no option {text!r}", field="text")
            self._values[element] = options[0].text
        else:
            self._values[element] = text
        return self._value(element)

    async def view(self) -> View | None:
        if self._page is None:
            return None
        return View(title=title_of(self._page), page=self._path(), text=cut_text("\n".join(described(self._page))))

    async def close(self) -> None:
        self._page = None

    async def _load(self, method: str, url: str, content: bytes | None = None) -> None:
        headers = {"accept": "text/html"}
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        if content is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        target = url.partition("#")[0]
        answer = await exchange(
            self._origin, method, target, seconds=self._seconds, headers=headers, content=content, follow=True
        )
        if answer.media_type != "text/html":
            raise GarbageAnswerError(f"{self._path(answer.url)} is {answer.media_type or 'of no type'} and no page")
        name, equals, value = answer.headers.get("set-cookie", "").partition(";")[0].partition("=")
        if equals:
            self._cookies[name.strip()] = value.strip()
        self._page, self._url = parse_page(answer.body.decode("utf-8", "replace")), answer.url
        self._values, self._checked, self._refresh = {}, {}, None
        for element in self._page.elements():
            if element.tag == "meta" and element.attributes.get("http-equiv", "").lower() == "refresh":
                said = _REFRESH(element.attributes.get("content", ""))
                if said is not None:
                    self._refresh = self._now() + int(said[1]), urljoin(self._url, (said[2] or "").strip() or self._url)

    def _path(self, url: str | None = None) -> str:
        parts = urlsplit(url if url is not None else self._url)
        path = parts.path.removeprefix(self._origin.path) or "/"
        return f"{path}?{parts.query}" if parts.query else path

    def _control(self, element: Element) -> Control:
        checked = self._is_checked(element) if role_of(element) == "checkbox" else None
        value = self._value(element) if role_of(element) == "field" else element.text
        fieldset = element.inside("fieldset")
        disabled = "disabled" in element.attributes or (fieldset is not None and "disabled" in fieldset.attributes)
        return Control(handle=element, value=value, enabled=not disabled, checked=checked, one_line=element.tag != "textarea")

    def _value(self, element: Element) -> str:
        if element in self._values:
            return self._values[element]
        if element.tag == "textarea":
            return "".join(child for child in element.children if isinstance(child, str))
        if element.tag == "select":
            options = [one for one in element.elements() if one.tag == "option"]
            return next((one.text for one in options if "selected" in one.attributes), options[0].text if options else "")
        return element.attributes.get("value", "")

    def _is_checked(self, element: Element) -> bool:
        return self._checked.get(element, "checked" in element.attributes)

    def _check(self, element: Element, kind: str) -> None:
        if kind != "radio":
            self._checked[element] = not self._is_checked(element)
            return
        if self._page is not None:
            for other in self._page.elements():
                if other.tag == "input" and other.attributes.get("name") == element.attributes.get("name"):
                    self._checked[other] = other is element

    async def _submit(self, form: Element, button: Element) -> None:
        fields: list[tuple[str, str]] = []
        for element in form.elements():
            name, role = element.attributes.get("name"), role_of(element)
            hidden = element.tag == "input" and element.attributes.get("type", "").lower() == "hidden"
            if "required" in element.attributes and role == "field" and not self._value(element):
                return  # a browser does not send the form either
            if not name or "disabled" in element.attributes:
                continue
            if role == "field" or hidden:
                fields.append((name, self._sent(element)))
            elif role == "checkbox" and self._is_checked(element):
                fields.append((name, element.attributes.get("value", "on")))
            elif element is button:
                fields.append((name, element.attributes.get("value", "")))
        action = button.attributes.get("formaction") or form.attributes.get("action") or self._url
        target = urljoin(self._url, action)
        if form.attributes.get("method", "get").lower() == "post":
            await self._load("POST", target, urlencode(fields).encode())
        else:
            await self._load("GET", f"{target.partition('?')[0]}?{urlencode(fields)}")

    def _sent(self, element: Element) -> str:
        value = self._value(element)
        if element.tag != "select":
            return value
        options = (one for one in element.elements() if one.tag == "option" and one.text == value)
        chosen = next(options, None)
        return value if chosen is None else chosen.attributes.get("value", value)
