"""xgrammar behind `NativeEngine`. It takes EBNF and lowered schemas; see `lowering.py` for what it reads wrongly otherwise."""

from __future__ import annotations

import json
import threading
from typing import Any

from torch import Tensor

from builderbrain.grammar.native import MAX_WHITESPACE, EngineName, NativeKind, NativeRefusal
from builderbrain.grammar.vocabulary import Vocabulary


class XGrammarNativeMatcher:
    """See `builderbrain.grammar.native.NativeMatcher`."""

    def __init__(self, matcher: Any) -> None:
        self._matcher = matcher

    def fill(self, bitmask: Tensor) -> bool:
        self._matcher.fill_next_token_bitmask(bitmask.view(1, -1))
        return True

    def accept(self, token: int) -> bool:
        return bool(self._matcher.accept_token(token))

    def accept_text(self, data: bytes) -> bool:
        return not data or bool(self._matcher.accept_string(data))  # an empty string is no step for xgrammar

    def forced_text(self) -> bytes:
        try:
            return str(self._matcher.find_jump_forward_string()).encode("utf-8")
        except UnicodeDecodeError as error:  # its binding reads the bytes as text, which they are not inside a character
            return bytes(error.object)

    def may_end(self) -> bool:
        return bool(self._matcher.is_completed())

    def is_terminated(self) -> bool:
        return bool(self._matcher.is_terminated())

    def failed(self) -> bool:
        return False

    def allows(self, data: bytes) -> bool:
        return self.fork().accept_text(data)

    def fork(self) -> XGrammarNativeMatcher:
        return XGrammarNativeMatcher(self._matcher.fork())


class XGrammarNativeGrammar:
    """See `builderbrain.grammar.native.NativeGrammar`."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.size_bytes = int(compiled.memory_size_bytes)

    def matcher(self) -> XGrammarNativeMatcher:
        import xgrammar

        return XGrammarNativeMatcher(xgrammar.GrammarMatcher(self._compiled))


class XGrammarNative:
    """See `builderbrain.grammar.native.NativeEngine`. One thread, without its own cache, which has no bound by default."""

    name: EngineName = "xgrammar"
    strict_text = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        import xgrammar

        info = xgrammar.TokenizerInfo(
            list(vocabulary.token_bytes),
            xgrammar.VocabType.RAW,
            vocab_size=len(vocabulary.token_bytes),
            stop_token_ids=[vocabulary.eos_token_id],
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self._lock = threading.Lock()

    def compile(self, kind: NativeKind, source: str) -> XGrammarNativeGrammar:
        try:
            with self._lock:
                return XGrammarNativeGrammar(self._compile(kind, source))
        except RuntimeError as error:
            raise NativeRefusal(_reason(str(error))) from error

    def _compile(self, kind: NativeKind, source: str) -> Any:
        if kind == "schema":
            return self._compiler.compile_json_schema(source, strict_mode=False, max_whitespace_cnt=MAX_WHITESPACE)
        if kind == "regex":
            return self._compiler.compile_regex(source)
        if kind == "choice":
            literals = " | ".join(_literal(choice) for choice in sorted(set(json.loads(source))))
            return self._compiler.compile_grammar(f"root ::= {literals}\n")
        if kind == "tags":
            raise NativeRefusal("xgrammar bounds no whitespace in structural tags")
        return self._compiler.compile_grammar(source)


def _literal(text: str) -> str:
    """An EBNF string literal; everything but plain ASCII as an escape."""
    plain = {character for character in map(chr, range(0x20, 0x7F)) if character not in '"\\'}
    return '"' + "".join(character if character in plain else f"\\U{ord(character):08x}" for character in text) + '"'


def _reason(message: str) -> str:
    """xgrammar's own message, without its timestamps and source positions."""
    line = message.strip().splitlines()[0] if message.strip() else "no reason given"
    return line.rsplit(".cc:", 1)[-1].partition(": ")[2] or line
