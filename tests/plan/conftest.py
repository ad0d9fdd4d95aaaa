"""Goldens, and the shipped grammar compiled for a tokenizer of single bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.plan import load_grammar

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "schemas" / "golden" / "repo_assistant.v1"
END = 256


def goldens(kind: str) -> list[Any]:
    """Parameters of one test a golden."""
    paths = sorted((GOLDENS / kind).glob("*.json"))
    return [pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem) for path in paths]


def byte_acceptor(source: str) -> Callable[[str], bool]:
    """Whether a whole text is in the language of an EBNF, decided token by token, one byte each, with masks and end token."""
    import xgrammar

    vocabulary = [bytes([byte]) for byte in range(256)] + [b"</s>"]
    tokenizer = xgrammar.TokenizerInfo(vocabulary, vocab_size=len(vocabulary), stop_token_ids=[END])
    compiled = xgrammar.GrammarCompiler(tokenizer, max_threads=1).compile_grammar(source)

    def accepts(text: str) -> bool:
        matcher = xgrammar.GrammarMatcher(compiled)
        return all(matcher.accept_token(byte) for byte in text.encode("utf-8", "surrogatepass")) and matcher.accept_token(END)

    return accepts


@pytest.fixture(scope="session")
def in_grammar() -> Callable[[str], bool]:
    return byte_acceptor(load_grammar("repo_assistant"))
