"""A small byte-level tokenizer and an adversary's walk through masks, for the tests of grammar and decode."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from builderbrain.errors import GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import CompiledGrammar, GrammarEngine
from builderbrain.grammar.llguidance_engine import LLGuidanceEngine
from builderbrain.grammar.matching import new_bitmask
from builderbrain.grammar.native import EngineName
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.nano.tokenizer import END_TOKEN, train_tokenizer

_TEXT = '{"name": "value", "id": [1, 2, 3], "x": {"y": true, "z": null}}, [{"a":"b","c":-1.5}] s1=read(path="notes.md") né '


class ToyTokenizer:
    """The project's own kind of tokenizer, trained on one line."""

    def __init__(self) -> None:
        self.backend = train_tokenizer([_TEXT * 20], vocab_size=330)
        self.vocab_size = self.backend.get_vocab_size()
        self.eos_token_id = self.backend.token_to_id(END_TOKEN)

    def encode(self, text: str) -> list[int]:
        return list(self.backend.encode(text).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        return str(self.backend.decode(list(token_ids)))


@cache
def toy_tokenizer() -> ToyTokenizer:
    return ToyTokenizer()


VOCAB_SIZE = 345
"""Wider than the tokenizer, and no multiple of 32."""


@cache
def toy_engine() -> XGrammarEngine:
    return XGrammarEngine(toy_tokenizer(), VOCAB_SIZE)


@cache
def toy_engine_of(name: EngineName) -> GrammarEngine:
    """An engine with one library."""
    return toy_engine() if name == "xgrammar" else LLGuidanceEngine(toy_tokenizer(), VOCAB_SIZE)


def compile_trusted(kind: str, source: object) -> CompiledGrammar:
    """Compile in this process, with the admission limits that schemas always have but without the child."""
    text = source if isinstance(source, str) else json.dumps(source)
    return toy_engine().compile(Constraint(kind=kind, source=text), trusted=True)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Walk:
    """How a random walk ended: `stop`, `length` or `empty`."""

    text: bytes
    end: str
    refused: int


def random_walk(compiled: CompiledGrammar, seed: int, *, steps: int = 200, end_chance: float = 0.3) -> Walk:
    """Draw legal tokens uniformly, the most hostile model there is; end with `end_chance` where that is legal."""
    rng = np.random.default_rng(seed)
    matcher, bitmask, tokens, refused = compiled.matcher(), new_bitmask(VOCAB_SIZE), [], 0
    end = toy_tokenizer().eos_token_id
    for _ in range(steps):
        try:
            matcher.fill_mask(bitmask)
        except MaskEmptyError:
            return Walk(text=toy_engine().vocabulary.text(tokens), end="empty", refused=refused)
        allowed = legal_tokens(bitmask)
        while allowed:
            token = end if end in allowed and rng.random() < end_chance else allowed[rng.integers(len(allowed))]
            try:
                matcher.accept(token)
                break
            except GrammarRefusedError:
                allowed.remove(token)
                refused += 1
        if not allowed:
            return Walk(text=toy_engine().vocabulary.text(tokens), end="empty", refused=refused)
        if token == end:
            return Walk(text=toy_engine().vocabulary.text(tokens), end="stop", refused=refused)
        tokens.append(token)
    return Walk(text=toy_engine().vocabulary.text(tokens), end="length", refused=refused)


def legal_tokens(bitmask: torch.Tensor) -> list[int]:
    """Ids whose bit is set."""
    bits = np.unpackbits(bitmask.numpy().view(np.uint8), bitorder="little")[:VOCAB_SIZE]
    return [int(index) for index in np.flatnonzero(bits)]
