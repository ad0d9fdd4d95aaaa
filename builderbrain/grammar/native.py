"""What this project asks of a grammar library: sources in, compiled grammars and their matchers out.

One file per library implements it (`native_xgrammar.py`, `native_llguidance.py`); nothing else calls the libraries. The
engine and the child process that tries a compilation first share these files.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

from torch import Tensor

from builderbrain.grammar.vocabulary import Vocabulary

EngineName = Literal["llguidance", "xgrammar"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)
NativeKind = Literal["schema", "regex", "choice", "ebnf", "tags"]
MAX_WHITESPACE = 16
"""Whitespace characters in a row between JSON tokens under xgrammar, which cannot do without everywhere."""


class NativeRefusal(ValueError):
    """The library does not take a source; the message is its own, in one line."""


class NativeMatcher(Protocol):
    """The library's state of one output. A refused token or text changes nothing."""

    def fill(self, bitmask: Tensor) -> bool:
        """Write the legal next tokens, int32 [ceil(V / 32)]; False, with any content, when the library gives up.

        A library whose masks are strict (`NativeEngine.strict_text`) gives up where no token is legal.
        """
        ...

    def accept(self, token: int) -> bool:
        """Advance by a token, the end-of-sequence token included; False when it is illegal."""
        ...

    def accept_text(self, data: bytes) -> bool:
        """Advance by bytes, whichever tokens they would be; False when they are illegal."""
        ...

    def forced_text(self) -> bytes:
        """Bytes that every legal output goes on with; empty when there are none."""
        ...

    def may_end(self) -> bool:
        """Whether the text so far is in the language."""
        ...

    def is_terminated(self) -> bool:
        """Whether the end-of-sequence token was accepted."""
        ...

    def failed(self) -> bool:
        """Whether the library has given up on this output."""
        ...

    def allows(self, data: bytes) -> bool:
        """Whether `accept_text` would take this text; nothing changes."""
        ...

    def fork(self) -> NativeMatcher:
        """An independent matcher in the same state."""
        ...


class NativeGrammar(Protocol):
    """A compiled source; immutable, shared between threads."""

    @property
    def size_bytes(self) -> int:
        """Memory that it holds, for the cache's account."""
        ...

    def matcher(self) -> NativeMatcher:
        """A matcher at the start of an output."""
        ...


class NativeEngine(Protocol):
    """A library with one vocabulary."""

    name: EngineName
    strict_text: bool
    """Whether masks are already free of invalid UTF-8, raw control characters and surrogates."""

    def compile(self, kind: NativeKind, source: str) -> NativeGrammar:
        """Compile a source.

        Args:
            source: JSON text of a schema, a pattern that the whole text matches, JSON text of a list of strings, EBNF, or JSON
                text of the fields of a `TagSet`.

        Raises:
            NativeRefusal: the library does not take it.
        """
        ...


def native_engine(name: EngineName, vocabulary: Vocabulary) -> NativeEngine:
    """The library of that name over a vocabulary."""
    if name == "llguidance":
        from builderbrain.grammar.native_llguidance import LLGuidanceNative

        return LLGuidanceNative(vocabulary)
    from builderbrain.grammar.native_xgrammar import XGrammarNative

    return XGrammarNative(vocabulary)


def try_compile(engine: NativeEngine, kind: NativeKind, source: str, vocab_size: int) -> None:
    """Compile and fill one mask: some grammars compile at once and cost their time in the mask."""
    import torch

    engine.compile(kind, source).matcher().fill(torch.zeros((vocab_size + 31) // 32, dtype=torch.int32))
