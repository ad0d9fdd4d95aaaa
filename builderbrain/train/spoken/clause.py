"""A clause of a request: what asks for one or several steps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Clause:
    """`text` holds marked values (`marks.py`). `command` when courtesies may precede it. `parallel` when its steps run beside
    those of the clause before it, and not after them. `condition` is the kind of what it depends on, whose words stand between
    marks of their own (`Part.CONDITION`), empty where it is done in any case."""

    kind: str
    text: str
    command: bool = True
    parallel: bool = False
    condition: str = ""
