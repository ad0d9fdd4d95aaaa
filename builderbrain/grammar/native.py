"""The few calls to xgrammar, shared by the engine and by the child process that tries a compilation first."""

from __future__ import annotations

from typing import Any, Literal

from builderbrain.grammar.vocabulary import Vocabulary

NativeKind = Literal["schema", "regex", "ebnf"]
MAX_WHITESPACE = 16
"""Whitespace characters in a row between JSON tokens; without a cap an output may be all spaces."""


def native_compiler(vocabulary: Vocabulary) -> Any:
    """An xgrammar compiler for the vocabulary, one thread, without its own cache (which has no bound by default)."""
    import xgrammar

    info = xgrammar.TokenizerInfo(
        list(vocabulary.token_bytes),
        xgrammar.VocabType.RAW,
        vocab_size=len(vocabulary.token_bytes),
        stop_token_ids=[vocabulary.eos_token_id],
    )
    return xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)


def native_compile(compiler: Any, kind: NativeKind, source: str) -> Any:
    """Compile to an xgrammar `CompiledGrammar`.

    Raises:
        RuntimeError: xgrammar refuses the source.
    """
    if kind == "schema":
        return compiler.compile_json_schema(source, strict_mode=False, max_whitespace_cnt=MAX_WHITESPACE)
    if kind == "regex":
        return compiler.compile_regex(source)
    return compiler.compile_grammar(source)


def first_mask(compiled: Any, vocab_size: int) -> None:
    """Fill one mask: some grammars compile at once and cost their time here."""
    import torch
    import xgrammar

    bitmask = torch.zeros((1, (vocab_size + 31) // 32), dtype=torch.int32)
    xgrammar.GrammarMatcher(compiled).fill_next_token_bitmask(bitmask)
