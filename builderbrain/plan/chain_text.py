"""Plans that are chains of tools, as text, and the grammar of those that follow the links of a graph.

    s1=find_song()
    s2=play_song() after s1

The grammar is right-linear: a rule says which tools may come after one, at which step. So whatever is decoded under it is a
chain along legal links, and the graph's planchecker accepts it. Names of tools that are no names of the text form
("Text-to-Image") are spelled with what it allows ("text_to_image").
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Sequence

from builderbrain.errors import PlanSyntaxError

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}").fullmatch
_LINE = re.compile(r"s(\d+)=([a-z][a-z0-9_]*)\(\)(?: after s(\d+))?").fullmatch


def spellings(tools: Sequence[str]) -> tuple[str, ...]:
    """How each tool is spelled in a plan.

    Raises:
        PlanSyntaxError: two tools would be spelled the same.
    """
    spelled = tuple(name if _WORD(name) else _spelled(name) for name in tools)
    for at, name in enumerate(spelled):
        if name in spelled[:at]:
            other = tools[spelled.index(name)]
            raise PlanSyntaxError(
                f"expected tools whose names differ in letters and digits, got {other!r} and {tools[at]!r}; rename one",
                field=tools[at],
            )
    return spelled


def chain_text(chain: Sequence[str], tools: Sequence[str]) -> str:
    """The text of a chain of `tools`."""
    names = dict(zip(tools, spellings(tools), strict=True))
    lines = [f"s{at}={names[tool]}()" + (f" after s{at - 1}" if at > 1 else "") for at, tool in enumerate(chain, 1)]
    return "\n".join(lines)


def parse_chain(text: str, tools: Sequence[str]) -> tuple[str, ...]:
    """The chain that a text says.

    Raises:
        PlanSyntaxError: it is no chain of these tools.
    """
    named = dict(zip(spellings(tools), tools, strict=True))
    chain = []
    for at, line in enumerate(text.split("\n"), 1):
        found = _LINE(line)
        after = None if at == 1 else str(at - 1)
        if found is None or found[1] != str(at) or found[3] != after or found[2] not in named:
            raise PlanSyntaxError(
                f"line {at}: expected a call of a tool after the step before, got {line!r}", field=f"line {at}"
            )
        chain.append(named[found[2]])
    return tuple(chain)


def chain_grammar(tools: Sequence[str], links: Collection[tuple[str, str]], *, longest: int) -> str:
    """EBNF (root rule `root`) of all chains of at most `longest` tools along `links`."""
    names = spellings(tools)
    number = {tool: at for at, tool in enumerate(tools)}
    onward: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in sorted(links):
        onward[number[source]].append(number[target])
    rules = ['root ::= "s1=" (' + " | ".join(_call(names[tool], tool, 1, onward, longest) for tool in range(len(tools))) + ")"]
    for step in range(2, longest + 1):
        for tool in sorted(onward):
            calls = " | ".join(_call(names[target], target, step, onward, longest) for target in onward[tool])
            rules.append(f'after_{tool}_{step} ::= "" | "\\ns{step}=" ({calls})')
    return "\n".join(rules) + "\n"


def _call(name: str, tool: int, step: int, onward: dict[int, list[int]], longest: int) -> str:
    tail = f" after s{step - 1}" if step > 1 else ""
    said = json.dumps(f"{name}(){tail}")
    return f"{said} after_{tool}_{step + 1}" if step < longest and onward.get(tool) else said


def _spelled(name: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:60]
    return word if _WORD(word) else f"t_{word}"
