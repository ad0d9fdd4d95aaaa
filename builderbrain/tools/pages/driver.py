"""What shows a page and acts on it. Two do: `WebDriver`, a real browser, and `ParsedPages`, forms and links without scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

MAX_TEXT_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True)
class Control:
    """One element that is shown, as it is now.

    Args:
        handle: what the driver knows it by; good until the page changes.
        value: what a field holds, the chosen option of a choice, or the text of anything else.
        checked: of a checkbox; None for anything else.
        one_line: a field in which a line break would send the form.
    """

    handle: Any
    value: str
    enabled: bool = True
    checked: bool | None = None
    one_line: bool = True


@dataclass(frozen=True, kw_only=True)
class View:
    """What is shown: title, path with query, and texts and controls line by line."""

    title: str
    page: str
    text: str


class PageDriver(Protocol):
    """Shows pages of one site, one at a time.

    Every method raises `ToolError` when nothing was done, `LostAnswerError` when that is not known, and the errors of
    `web.exchange` when the site does not answer.
    """

    async def open(self, path: str) -> None:
        """Show a page of the site. `path` begins with one slash."""

    async def find(self, role: str, name: str) -> list[Control]:
        """What is shown under this role and name (`controls.find`, or `find_field` for `field`)."""

    async def click(self, control: Control) -> None:
        """Click it, and wait until the page that this leads to is there. What it leads to is of this site."""

    async def put(self, control: Control, text: str) -> str:
        """Put text into a field in place of what is there, or choose the option of that name. Returns what it holds then."""

    async def view(self) -> View | None:
        """What is shown, None when no page is open."""

    async def close(self) -> None:
        """End it; may be called twice."""
