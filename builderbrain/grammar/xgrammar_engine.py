"""The mask engine over xgrammar, with what xgrammar leaves open closed around it.

    source -> admission limits -> lowering (schemas) -> trial in a child -> xgrammar -> matcher + strict text machine
                                                                                     -> validator of finished texts

xgrammar alone is not trusted with validity. Beside its matcher runs a strict machine over the same bytes: its masks are
joined to xgrammar's where a lexical state decides (UTF-8, control characters and surrogates in JSON strings), and a sampled
token that breaks a rule with memory (a duplicate key, depth, an overflowing number) is refused by `accept`, without a change
of state, so that the caller can draw again. What stays open is in `declared` and left to `validate`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from builderbrain.errors import GrammarLimitError, GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.cache import BoundedCache, cache_key
from builderbrain.grammar.limits import admit_choice, admit_grammar, admit_schema
from builderbrain.grammar.lowering import lower
from builderbrain.grammar.native import NativeKind, native_compile, native_compiler
from builderbrain.grammar.overlay import Overlay
from builderbrain.grammar.patterns import read_pattern
from builderbrain.grammar.strict_text import StrictJson, StrictText
from builderbrain.grammar.trial import CompileTrial, refusal
from builderbrain.grammar.validate import check_json, regex_validator, validator_for
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.hosts.base import Tokenizer

ENGINE = "xgrammar"
_MAX_ENTRIES = 512
_MAX_BYTES = 256 << 20
_REFUSAL_BYTES = 1024

Validate = Callable[[str], str | None]


class XGrammarMatcher:
    """See `builderbrain.grammar.base.Matcher`."""

    def __init__(self, native: Any, overlay: Overlay) -> None:
        import xgrammar

        self._matcher = xgrammar.GrammarMatcher(native)
        self._overlay = overlay
        self._machine = overlay.machine
        self._state = self._machine.start()
        self._eos = overlay.vocabulary.eos_token_id

    def fill_mask(self, bitmask: Tensor) -> None:
        if self._matcher.is_terminated():
            raise MaskEmptyError("expected an unfinished output, got one that ended; start a new matcher")
        self._matcher.fill_next_token_bitmask(bitmask.view(1, -1))
        words = bitmask.numpy()
        word, bit = self._eos // 32, np.int32(np.uint32(1 << (self._eos % 32)).view(np.int32))
        may_end = bool(words[word] & bit) and self._machine.may_end(self._state)
        np.bitwise_and(words, self._overlay.mask(self._machine.lexical(self._state)), out=words)
        if may_end:
            words[word] |= bit
        if not words.any():
            raise MaskEmptyError("expected a legal next token, but grammar and strict text rules leave none")

    def refine(self, bitmask: Tensor) -> None:
        """Clear every token of `bitmask` that `accept` would refuse. Exact, and slow on a large vocabulary.

        Raises:
            MaskEmptyError: none is left.
        """
        words = bitmask.numpy()
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")
        for token in np.flatnonzero(bits):
            if token != self._eos and self._machine.advance(self._state, self._overlay.vocabulary.token_bytes[token]) is None:
                bits[token] = 0
        words[:] = np.packbits(bits, bitorder="little").view(np.int32)
        if not words.any():
            raise MaskEmptyError("expected a legal next token, but grammar and strict text rules leave none")

    def accept(self, token: int) -> None:
        token_bytes = self._overlay.vocabulary.token_bytes
        if token == self._eos:
            state = self._state if self._machine.may_end(self._state) else None
        else:
            known = 0 <= token < len(token_bytes) and bool(token_bytes[token])
            state = self._machine.advance(self._state, token_bytes[token]) if known else None
        if state is None or self._matcher.is_terminated() or not self._matcher.accept_token(token):
            raise GrammarRefusedError(f"expected a token of the mask, got {token}, which is illegal here")
        self._state = state

    def is_complete(self) -> bool:
        return bool(self._matcher.is_terminated())


@dataclass(frozen=True, kw_only=True)
class CompiledXGrammar:
    """See `builderbrain.grammar.base.CompiledConstraint`."""

    constraint: Constraint
    exact: bool
    declared: tuple[str, ...]
    native: Any
    overlay: Overlay
    check: Validate | None
    """None for EBNF: the text is replayed through a fresh matcher."""
    engine: str = ENGINE

    def matcher(self) -> XGrammarMatcher:
        return XGrammarMatcher(self.native, self.overlay)

    def validate(self, text: str) -> str | None:
        if self.check is not None:
            return self.check(text)
        import xgrammar

        matcher = xgrammar.GrammarMatcher(self.native)
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            return "not UTF-8"
        # An empty string is no step for the matcher.
        if data and not matcher.accept_string(data):
            return "the text is not in the grammar's language"
        return None if matcher.is_completed() else "the text ends where the grammar does not"


@dataclass(frozen=True, kw_only=True)
class _Admitted:
    """What is compiled for a constraint, and how finished texts are checked."""

    kind: NativeKind
    source: str
    json: bool
    check: Validate | None
    declared: tuple[str, ...] = ()


class XGrammarEngine:
    """See `builderbrain.grammar.base.MaskEngine`. Safe to share between threads."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        vocab_size: int,
        *,
        allow_client_grammar: bool = False,
        compile_seconds: float = 2.0,
        compile_memory_bytes: int = 1 << 30,
    ) -> None:
        """An engine for logits of width `vocab_size`.

        Args:
            allow_client_grammar: whether `compile` takes EBNF that is not marked as trusted.
            compile_seconds: time limit of a compilation in the child.
            compile_memory_bytes: memory limit of the child.

        Raises:
            UnsupportedModelError: the tokenizer's bytes cannot be derived.
        """
        self.vocabulary = vocabulary_for(tokenizer, vocab_size)
        self._allow_client_grammar = allow_client_grammar
        self._compiler = native_compiler(self.vocabulary)
        self._trial = CompileTrial(self.vocabulary, seconds=compile_seconds, memory_bytes=compile_memory_bytes)
        self._json_overlay = Overlay(StrictJson(), self.vocabulary)
        self._text_overlay = Overlay(StrictText(), self.vocabulary)
        self.cache: BoundedCache[CompiledXGrammar | GrammarLimitError | GrammarRefusedError] = BoundedCache(
            max_entries=_MAX_ENTRIES, max_bytes=_MAX_BYTES
        )
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """Start the compiling child; without this the first client constraint waits for it."""
        self._trial.warm_up()

    def close(self) -> None:
        """End the compiling child. The engine stays usable."""
        self._trial.close()

    def compile(self, constraint: Constraint, *, trusted: bool = False) -> CompiledXGrammar:
        """Compile, or return the cached result; refusals are cached too.

        Args:
            trusted: the source ships with the project: no limits, no child, EBNF allowed.
        """
        key = cache_key(constraint.kind, constraint.source, str(trusted))
        found = self.cache.get(key)
        if found is None:
            with self._lock:
                found = self.cache.get(key) or self._compile_and_keep(key, constraint, trusted)
        if isinstance(found, CompiledXGrammar):
            return found
        raise type(found)(found.message, field=found.field)

    def _compile_and_keep(
        self, key: str, constraint: Constraint, trusted: bool
    ) -> CompiledXGrammar | GrammarLimitError | GrammarRefusedError:
        try:
            compiled = self._compile(constraint, trusted)
        except (GrammarLimitError, GrammarRefusedError) as error:
            self.cache.put(key, type(error)(error.message, field=error.field), _REFUSAL_BYTES)
            return error
        self.cache.put(key, compiled, int(compiled.native.memory_size_bytes) + 4 * len(constraint.source))
        return compiled

    def _compile(self, constraint: Constraint, trusted: bool) -> CompiledXGrammar:
        if constraint.kind == "grammar" and not (trusted or self._allow_client_grammar):
            raise GrammarRefusedError(
                "expected a JSON Schema, a regex or a choice, got an EBNF grammar, which clients may not send here; "
                "express it as one of those, or start the engine with allow_client_grammar",
                field="grammar",
            )
        admitted = self._admit(constraint, trusted)
        field = "" if admitted.json else constraint.kind
        if not trusted:
            self._trial.run(admitted.kind, admitted.source, field=field)
        try:
            native = native_compile(self._compiler, admitted.kind, admitted.source)
        except RuntimeError as error:
            raise refusal(str(error), field=field) from error
        compiled = CompiledXGrammar(
            constraint=constraint,
            exact=not admitted.declared,
            declared=admitted.declared,
            native=native,
            overlay=self._json_overlay if admitted.json else self._text_overlay,
            check=admitted.check,
        )
        try:
            compiled.matcher().fill_mask(new_bitmask(len(self.vocabulary.token_bytes)))
        except MaskEmptyError as error:
            raise GrammarRefusedError(
                "expected a source that some text satisfies, got one whose rules never end; add an alternative that ends",
                field=field,
            ) from error
        return compiled

    def _admit(self, constraint: Constraint, trusted: bool) -> _Admitted:
        source = constraint.source
        if constraint.kind == "json_object":
            schema: dict[str, Any] | bool = {"type": "object"}
            validator = validator_for(schema)
            return _Admitted(
                kind="schema", source=json.dumps(schema), json=True, check=lambda text: check_json(text, validator)
            )
        if constraint.kind == "json_schema":
            schema = admit_schema(source)
            validator = validator_for(schema)
            lowered = lower(schema)
            if lowered.schema is False:
                raise GrammarRefusedError("expected a schema that some value satisfies, got one that none does", field="")
            text = json.dumps(lowered.schema)
            return _Admitted(
                kind="schema", source=text, json=True, check=lambda text: check_json(text, validator), declared=lowered.declared
            )
        if constraint.kind == "regex":
            read_pattern(source, field="regex")
            matches = regex_validator(source)
            return _Admitted(
                kind="regex",
                source=source,
                json=False,
                check=lambda text: None if matches.is_valid(text) else "the text does not match the pattern",
            )
        if constraint.kind == "choice":
            choices = frozenset(admit_choice(source))
            literals = " | ".join(_literal(choice) for choice in sorted(choices))
            return _Admitted(
                kind="ebnf",
                source=f"root ::= {literals}\n",
                json=False,
                check=lambda text: None if text in choices else "the text is none of the choices",
            )
        if not trusted:
            admit_grammar(source)
        return _Admitted(kind="ebnf", source=source, json=False, check=None)


def _literal(text: str) -> str:
    """An EBNF string literal; everything but plain ASCII as an escape."""
    plain = {character for character in map(chr, range(0x20, 0x7F)) if character not in '"\\'}
    return '"' + "".join(character if character in plain else f"\\U{ord(character):08x}" for character in text) + '"'


def new_bitmask(vocab_size: int) -> Tensor:
    """An all-zero mask for `fill_mask`, int32 [ceil(vocab_size / 32)]."""
    return torch.zeros((vocab_size + 31) // 32, dtype=torch.int32)
