"""What is wrong with one Markdown text: open code fences, odd headings, links that lead nowhere. Every pattern is linear."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$").match
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$").match
_CODE_SPAN = re.compile(r"(`+)[^`]+\1")
_LINK = re.compile(r"\[[^\[\]]{0,500}\]\(\s*<?([^()<>\s]{1,1000}(?:\([^()<>\s]{0,200}\))?)>?(?:\s+[\"'(][^\n]{0,300})?\s*\)")
_DEFINITION = re.compile(r" {0,3}\[[^\[\]]{1,200}\]:\s*<?([^<>\s]{1,1000})>?").match
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//").match
_NO_ANCHOR = re.compile(r"[^\w\- ]")
_HTML_ANCHOR = re.compile(r"<[a-z]+ [^<>]{0,200}?(?:id|name)=[\"']([^\"'<>]{1,200})[\"']")
MAX_LINE = 4_000


@dataclass(frozen=True, kw_only=True)
class MarkdownFault:
    """One fault; `line` counts from 1."""

    line: int
    message: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link to something in the project. `path` is "" for the same file, `anchor` is "" for none."""

    line: int
    path: str
    anchor: str


@dataclass(kw_only=True)
class MarkdownFile:
    """What one text says about itself: its own faults, its links, and the anchors of its headings."""

    faults: list[MarkdownFault] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)


def read_markdown(text: str) -> MarkdownFile:
    """Read a text. Links with a scheme (`https:`) are not followed, code is not looked into, lines are cut at 4,000."""
    found = MarkdownFile()
    level = 0
    for number, line in _outside_fences(text, found):
        heading = _HEADING(line)
        if heading:
            title = (heading[2] or "").strip().rstrip("#").strip()
            depth = len(heading[1])
            if not title:
                found.faults.append(
                    MarkdownFault(line=number, message="a heading without words; name what follows, or drop it")
                )
            elif level and depth > level + 1:
                message = f"a heading of level {depth} below one of level {level}; use level {level + 1}"
                found.faults.append(MarkdownFault(line=number, message=message))
            level = depth
            _add_anchor(found.anchors, title)
        found.anchors.update(_HTML_ANCHOR.findall(line))
        bare = _CODE_SPAN.sub("", line)
        definition = _DEFINITION(bare)
        targets = [definition[1]] if definition else [match[1] for match in _LINK.finditer(bare)]
        for target in targets:
            if not _SCHEME(target):
                path, _, anchor = target.partition("#")
                found.links.append(Link(line=number, path=unquote(path.partition("?")[0]), anchor=unquote(anchor)))
    return found


def link_faults(
    file: MarkdownFile, exists: Callable[[str], bool], anchors: Callable[[str], set[str] | None]
) -> Iterator[MarkdownFault]:
    """Links that lead nowhere.

    Args:
        exists: whether there is a file or folder, by the path as it is written.
        anchors: the anchors of a Markdown file, None for what is none.
    """
    for link in file.links:
        if link.path and not exists(link.path):
            yield MarkdownFault(line=link.line, message=f"the link to {link.path} leads nowhere; mend the path")
        elif link.anchor:
            known = anchors(link.path) if link.path else file.anchors
            if known is not None and link.anchor.lower() not in {anchor.lower() for anchor in known}:
                where = link.path or "this file"
                yield MarkdownFault(line=link.line, message=f"there is no heading #{link.anchor} in {where}; mend the anchor")


def _outside_fences(text: str, found: MarkdownFile) -> Iterator[tuple[int, str]]:
    fence, opened = "", 0
    for number, whole in enumerate(text.splitlines(), start=1):
        line = whole[:MAX_LINE]
        match = _FENCE(line)
        if not fence and match:
            fence, opened = match[1], number
        elif fence:
            if match and match[1][0] == fence[0] and len(match[1]) >= len(fence) and not match[2].strip():
                fence = ""
        else:
            yield number, line
    if fence:
        found.faults.append(MarkdownFault(line=opened, message=f"the code fence {fence} is never closed; close it"))


def _add_anchor(anchors: set[str], title: str) -> None:
    """As GitHub makes them: lower case, blanks to hyphens, a number where the same stands again."""
    plain = _NO_ANCHOR.sub("", title.replace("`", "").lower()).replace(" ", "-")
    anchor, again = plain, 0
    while anchor in anchors:
        again += 1
        anchor = f"{plain}-{again}"
    anchors.add(anchor)
