"""A page as a tree of elements. What stands in scripts, styles and templates is no part of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from builderbrain.errors import GarbageAnswerError

MAX_ELEMENTS = 20_000
_MAX_DEPTH = 200
_VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
_UNREAD = frozenset({"script", "style", "template", "noscript"})
_CLOSES = {"li": {"li"}, "option": {"option"}, "p": {"p"}, "tr": {"tr", "td", "th"}, "td": {"td", "th"}, "th": {"td", "th"}}
"""What an opening tag ends when it stands right inside it, as browsers do."""


@dataclass(eq=False)
class Element:
    """One element. `place` is its number among the elements of its parent, from 1."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    place: int = 1
    children: list[Element | str] = field(default_factory=list)

    def elements(self) -> Iterator[Element]:
        """This element and all below it, in the order of the page."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.elements()

    @property
    def text(self) -> str:
        """The text of the element and all below it, with single spaces."""
        return " ".join("".join(self._texts()).split())

    @property
    def raw_text(self) -> str:
        """The text of the element and all below it, as it stands."""
        return "".join(child if isinstance(child, str) else child.raw_text for child in self.children)

    @property
    def path(self) -> str:
        """XPath that leads to the element by numbers alone."""
        above = self.parent.path if self.parent is not None else ""
        return f"{above}/*[{self.place}]" if self.tag != "#page" else ""

    def inside(self, tag: str) -> Element | None:
        """The nearest element of this tag that it stands in, itself left out."""
        found = self.parent
        while found is not None and found.tag != tag:
            found = found.parent
        return found

    def _texts(self) -> Iterator[str]:
        if self.tag in _UNREAD:
            return
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                yield from child._texts()
        if self.tag not in ("a", "b", "em", "i", "span", "strong"):
            yield " "


def parse_page(html: str) -> Element:
    """The page; its root has the tag `#page`.

    Raises:
        GarbageAnswerError: more elements than `MAX_ELEMENTS`.
    """
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.root


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("#page", {}, None)
        self._open = [self.root]
        self._count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._open[-1].tag in _CLOSES.get(tag, ()):
            self._open.pop()
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise GarbageAnswerError(f"the page has more than {MAX_ELEMENTS} elements")
        parent = self._open[-1]
        place = 1 + sum(isinstance(child, Element) for child in parent.children)
        element = Element(tag, {name: value or "" for name, value in attrs}, parent, place)
        parent.children.append(element)
        if tag not in _VOID and len(self._open) < _MAX_DEPTH:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self._open[-1].tag == tag:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        for depth in range(len(self._open) - 1, 0, -1):
            if self._open[depth].tag == tag:
                del self._open[depth:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)
