"""Reading EBNF as the generator writes it: which rules reach which, and the grammar of one argument alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache

from builderbrain.errors import SchemaError
from builderbrain.plan.assets import read_grammar

_LITERAL = json.JSONDecoder()


@lru_cache(maxsize=256)
def argument_grammar(domain: str, version: int, skill: str, argument: str, number: int) -> str:
    """The EBNF of the value of one argument of a skill, as step `number` (from 1) of a plan may say it; root rule `root`.

    It is the part of the domain's generated grammar that stands behind the argument's name: literals within their declared
    lengths and values, and references to results of earlier steps.

    Raises:
        SchemaError: the grammar has no such step, skill or argument there.
    """
    source = read_grammar(domain, version)
    rules = dict(line.split(" ::= ", 1) for line in source.splitlines() if " ::= " in line)
    body = rules.get(f"{skill}_{number}", "")
    marked = json.dumps(f"{argument}=")
    at = body.find(f"{marked} ")
    if at < 0:
        raise SchemaError(f"expected an argument of {skill} as step {number} of {domain}, got {argument!r}", field=argument)
    rules["root"] = _first_value(body[at + len(marked) + 1 :])
    return "".join(f"{name} ::= {rule}\n" for name, rule in reached_rules(rules).items())


def _first_value(text: str) -> str:
    """The value that a rule's body begins with: a group, a reference to a result (`earlier_2 "." (...)`), a list, or a word."""
    end = _term_end(text, 0)
    if text.startswith("earlier_"):  # the step, the dot and the results
        return text[: _term_end(text, _term_end(text, end + 1) + 1)]
    if text.startswith('"["'):  # up to the closing bracket of the list
        return text[: _term_end(text, _term_end(text, end + 1) + 1)]
    return text[:end]


def _term_end(text: str, start: int) -> int:
    """Where a term ends that begins at `start`: a string literal, a group with its repetition sign, or a word."""
    if text[start] == '"':
        return _LITERAL.raw_decode(text, start)[1]
    if text[start] != "(":
        at = start
        while at < len(text) and (text[at].isalnum() or text[at] == "_"):
            at += 1
        return at
    depth, at = 0, start
    while True:
        if text[at] == '"':
            at = _LITERAL.raw_decode(text, at)[1]
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return at + 1 if text[at : at + 1] in ("?", "*", "+") else at


def reached_rules(rules: Mapping[str, str]) -> dict[str, str]:
    """The rules that `root` reaches, in order; a rule's name is found as a word of a body outside its string literals."""
    reached: set[str] = set()
    waiting = ["root"]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        waiting.extend(word for word in words_of(rules[name]) if word in rules)
    return {name: body for name, body in rules.items() if name in reached}


def words_of(body: str) -> list[str]:
    """Names of rules in a body: its words outside string literals and character classes."""
    words: list[str] = []
    word, closing, escaped = "", "", False
    for character in f"{body} ":
        if closing:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == closing:
                closing = ""
            continue
        if character.isalnum() or character == "_":
            word += character
            continue
        if word:
            words.append(word)
            word = ""
        closing = {'"': '"', "[": "]"}.get(character, "")
    return words
