"""Which skill writes which token of a plan, in a rail whose skills are pinned to node types.

    s1=search(path="docs")\\n          next next next next search ... search next

`next` decides which step comes and when the plan ends; a node type's skill writes its arguments. Which of them a token belongs
to can be told from the tokens before it, so the router needs no more than its one block.
"""

from __future__ import annotations

from collections.abc import Sequence

from builderbrain.hosts.base import Tokenizer
from builderbrain.rail.config import NEXT_SKILL, RailConfig


def pins_of(answer: Sequence[int], tokenizer: Tokenizer, config: RailConfig) -> tuple[int, ...]:
    """The skill of every token of an answer, its end token included; empty for a rail without pinned skills."""
    if not config.pinned_skills:
        return ()
    number = {name: index for index, name in enumerate(config.pinned_skills)}
    chooses = number[NEXT_SKILL]
    pins, line = [], ""
    for token in answer:
        ends = token in config.line_tokens or token == tokenizer.eos_token_id
        head, opened, _ = line.partition("(")
        pins.append(number[head.partition("=")[2]] if opened and not ends else chooses)
        line = "" if ends else line + tokenizer.decode([token])
    return tuple(pins)
