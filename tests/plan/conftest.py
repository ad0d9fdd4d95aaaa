"""Goldens, and the shipped grammar compiled for a tokenizer of single bytes."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builderbrain.plan import Domain, load_grammar
from builderbrain.plan.generate_checker import checker_source
from builderbrain.plan.schema import DomainSchema

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "schemas" / "golden" / "repo_assistant.v1"
END = 256


def goldens(kind: str) -> list[Any]:
    """Parameters of one test a golden."""
    paths = sorted((GOLDENS / kind).glob("*.json"))
    return [pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem) for path in paths]


def generated_domain(schema: DomainSchema) -> Domain:
    """The tables and planchecker of a schema that is not shipped, generated and loaded here."""
    module = types.ModuleType(f"{schema.domain}_v{schema.version}")
    source = checker_source(schema, "0" * 64)
    exec(compile(source, f"{module.__name__}.py", "exec"), module.__dict__)
    domain = module.DOMAIN
    assert isinstance(domain, Domain)
    return domain


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
