"""Names of a server's tools, arguments and results as names in plans.

A model and a person read them, so a name is plain ASCII or refused; a skill bears its server's name, and none takes the name
of a shipped one.
"""

from __future__ import annotations

import re

from builderbrain.mcp.refusals import Inexpressible
from builderbrain.plan.registry import shipped_domains

MAX_NAME = 64

_PLAIN = re.compile(rf"[A-Za-z][A-Za-z0-9_.-]{{0,{MAX_NAME - 1}}}").fullmatch
_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SIGNS = re.compile(r"[.-]")


def plain_name(name: object) -> str:
    """A name in snake_case: `readNote`, `read-note` and `read.note` are `read_note`.

    Raises:
        Inexpressible: it has other characters than letters, digits, `_`, `-` and `.` of ASCII, or more than 64.
    """
    if not isinstance(name, str) or not _PLAIN(name):
        what = f"of {len(name)} characters" if isinstance(name, str) and len(name) > MAX_NAME else ascii(name)[:80]
        raise Inexpressible(
            f"a name is 1 to {MAX_NAME} letters, digits, _, - and . of ASCII and starts with a letter; this one is {what}"
        )
    return _SIGNS.sub("_", _NEW_WORD.sub("_", name)).lower()


def skill_name(server: str, tool: object) -> str:
    """Name of the skill that a tool becomes, its server's name first.

    Raises:
        Inexpressible: the tool's name is no plain one, or a shipped skill has that name.
    """
    name = f"{server}_{plain_name(tool)}"
    if len(name) > MAX_NAME:
        raise Inexpressible(f"the skill would be called {name[:80]}..., and a name has at most {MAX_NAME} characters")
    if name in _shipped_skills():
        raise Inexpressible(
            f"the skill would be called {name}, and a skill of that name is there; call the server something else"
        )
    return name


def _shipped_skills() -> frozenset[str]:
    return frozenset(skill for domain in shipped_domains() for skill in domain.skills)
