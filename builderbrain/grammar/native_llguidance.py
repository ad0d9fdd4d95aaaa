"""llguidance behind `NativeEngine`.

It compiles in about a millisecond, intersects what xgrammar drops, and refuses what it does not implement instead of ignoring
it. It takes no EBNF.

`no_forcing` is essential: without it a mask holds only the token that the tokenizer would give for forced text, so that
legal tokens are blocked; jump-forward is a decision of the caller, not of the mask. Strings have no escapes of code points
and no escaped slash: every text has a spelling without them but for rare control characters, and a surrogate or a name in
disguise has none.

Its limits are counted work, not seconds, so they give the same result on every machine; a source that the child process
has tried fails here in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor

from builderbrain.grammar.native import EngineName, NativeKind, NativeRefusal
from builderbrain.grammar.vocabulary import Vocabulary

MAX_LEXER_STATES = 50_000
"""About 1 to 2 kB each, for the grammar and all of its matchers."""
_JSON_OPTIONS = {
    "whitespace_flexible": False, "item_separator": ",", "key_separator": ":", "json_allowed_escapes": 'nrbtf\\"'
}  # fmt: skip
"""Between the parts of JSON there are no spaces, as JSON.stringify writes it: every value has such a text, an output cannot run
into spaces, and what stands between two values is forced, so that it needs no step of the model."""
_HEADER = '%llguidance {"no_forcing": true}\n'
_BYTES_BESIDE_SOURCE = 64 * 1024


class _Tokens:
    """What `LLTokenizer` asks of a tokenizer. Nothing is encoded here: masks do not depend on how texts are split."""

    is_tokenizer_wrapper = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.eos_token_id = vocabulary.eos_token_id
        self.bos_token_id = None
        self.tokens = list(vocabulary.token_bytes)
        self.special_token_ids: Sequence[int] = [vocabulary.eos_token_id]

    def __call__(self, text: bytes | str) -> list[int]:
        raise RuntimeError("expected no encoding in a mask; llguidance must not force tokens (no_forcing)")


class LLGuidanceNativeMatcher:
    """See `builderbrain.grammar.native.NativeMatcher`."""

    def __init__(self, matcher: Any, eos_token_id: int, tokenizer: Any) -> None:
        self._matcher = matcher
        self._eos = eos_token_id
        self._tokenizer = tokenizer
        self._terminated = False
        self.failed = matcher.is_error  # asked before every mask, so without a call in between

    def fill(self, bitmask: Tensor) -> bool:
        self._matcher.unsafe_compute_mask_ptr(bitmask.data_ptr(), 4 * bitmask.numel())
        return not self._matcher.is_error()

    def accept(self, token: int) -> bool:
        if self._terminated:
            return False
        if token == self._eos:  # llguidance has no step for it once nothing can follow
            self._terminated = bool(self._matcher.is_accepting())
            return self._terminated
        return self._matcher.try_consume_tokens([token]) == 1

    def accept_text(self, data: bytes) -> bool:
        if self._terminated or not data:
            return not data
        tokens = self._tokenizer.spell(data)
        if tokens is None or (len(tokens) > 1 and self._matcher.validate_tokens(tokens) != len(tokens)):
            return False
        return bool(self._matcher.try_consume_tokens(tokens) == len(tokens))

    def forced_text(self) -> bytes:
        return bytes(self._matcher.compute_ff_bytes())

    def may_end(self) -> bool:
        return bool(self._matcher.is_accepting())

    def is_terminated(self) -> bool:
        return self._terminated

    def allows(self, data: bytes) -> bool:
        if self._terminated or not data:
            return not data
        tokens = self._tokenizer.spell(data)
        return tokens is not None and bool(self._matcher.validate_tokens(tokens) == len(tokens))

    def fork(self) -> LLGuidanceNativeMatcher:
        forked = LLGuidanceNativeMatcher(self._matcher.deep_copy(), self._eos, self._tokenizer)
        forked._terminated = self._terminated
        return forked


class LLGuidanceNativeGrammar:
    """See `builderbrain.grammar.native.NativeGrammar`. Matchers share the lexer, which fills as masks are made."""

    def __init__(self, matcher: Any, engine: LLGuidanceNative, size_bytes: int) -> None:
        self._matcher = matcher
        self._engine = engine
        self.size_bytes = size_bytes

    def matcher(self) -> LLGuidanceNativeMatcher:
        return LLGuidanceNativeMatcher(self._matcher.deep_copy(), self._engine.eos_token_id, self._engine)


class LLGuidanceNative:
    """See `builderbrain.grammar.native.NativeEngine`."""

    name: EngineName = "llguidance"
    strict_text = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        import llguidance

        self.eos_token_id = vocabulary.eos_token_id
        self._tokenizer = llguidance.LLTokenizer(cast(Any, _Tokens(vocabulary)), n_vocab=len(vocabulary.token_bytes))
        self._byte_tokens = {token[0]: index for index, token in enumerate(vocabulary.token_bytes) if len(token) == 1}

    def spell(self, data: bytes) -> list[int] | None:
        """`data` as one token a byte; None when the vocabulary lacks one. A matcher's state depends on bytes alone."""
        tokens = [self._byte_tokens.get(byte) for byte in data]
        return None if None in tokens else [token for token in tokens if token is not None]

    def compile(self, kind: NativeKind, source: str) -> LLGuidanceNativeGrammar:
        import llguidance
        from llguidance._lib import LLParserLimits

        limits = LLParserLimits(max_lexer_states=MAX_LEXER_STATES, verbose_errors=False)
        matcher = llguidance.LLMatcher(self._tokenizer, _HEADER + _rule(kind, source), log_level=0, limits=limits)
        if matcher.is_error():
            raise NativeRefusal(_reason(str(matcher.get_error())))
        if warnings := matcher.get_grammar_warnings():
            raise NativeRefusal(f"not enforced in full: {warnings[0]:.200}")
        return LLGuidanceNativeGrammar(matcher, self, _BYTES_BESIDE_SOURCE + 64 * len(source))


def _rule(kind: NativeKind, source: str) -> str:
    """The start rule in llguidance's own notation."""
    if kind == "schema":
        return f"start: {_json(json.loads(source))}\n"
    if kind == "regex":
        from llguidance import regex_to_lark

        return f"start: TEXT\nTEXT: /{regex_to_lark(source, 'dw')}/\n"
    if kind == "choice":
        return "start: TEXT\nTEXT: " + " | ".join(json.dumps(choice) for choice in sorted(set(json.loads(source)))) + "\n"
    if kind == "tags":
        return _tags(json.loads(source))
    raise NativeRefusal("llguidance takes no EBNF")


def _json(schema: dict[str, Any] | bool) -> str:
    """A schema inside a rule."""
    if schema is False:
        raise NativeRefusal("no value satisfies the schema")
    options = {} if schema is True else schema
    return f"%json {json.dumps(options | {'x-guidance': _JSON_OPTIONS})}"


def _tags(source: dict[str, Any]) -> str:
    """The rules of a `TagSet`. A trigger ends free text as soon as it is there, because its lexeme is lazy."""
    tags, triggers, separator = source["tags"], source["triggers"], source["separator"]
    rules = [f"value_{n}: {_json(tag['schema'])} {_literal(tag['end'])}" for n, tag in enumerate(tags)]
    rules += [f"tag_{n}: {_literal(tag['begin'])} value_{n}" for n, tag in enumerate(tags)]
    any_tag = "(" + " | ".join(f"tag_{n}" for n in range(len(tags))) + ")"
    within = []
    for at, trigger in enumerate(triggers):
        within.append(f"after_{at}")
        rules.append(f"until_{at}[lazy]: ANY {_literal(trigger)}")
        bodies = [
            f"{_literal(tag['begin'][len(trigger) :])} value_{n}"
            for n, tag in enumerate(tags)
            if tag["begin"].startswith(trigger)
        ]
        rules.append(f"after_{at}: until_{at} ({' | '.join(bodies)})")
    if triggers:
        holding = " | ".join(f"ANY {_literal(trigger)} ANY" for trigger in triggers)
        rules += ["ANY: /(?s:.*)/", f"TEXT: ANY & ~({holding})"]
    any_within = f"({' | '.join(within)})"
    more = "" if source["stop_after_first"] else f"({_literal(separator or '')} {any_tag})*"
    if triggers and separator is None:
        start = f"{any_tag} " if source["at_least_one"] else ""
        if source["stop_after_first"]:
            start = start or f"{any_within} | TEXT"
        else:
            start += f"{any_within}* TEXT"
    elif source["at_least_one"]:
        start = f"{any_tag} {more}"
    else:
        start = f"{any_within} {more} | TEXT" if triggers else f"({any_tag} {more})?"
    return "\n".join([f"start: {start}", *rules, ""])


def _literal(text: str) -> str:
    """A text inside a rule; nothing for the empty one."""
    return json.dumps(text, ensure_ascii=False) if text else ""


def _reason(message: str) -> str:
    """The last part of llguidance's message, without positions in the generated grammar."""
    line = message.strip().splitlines()[0] if message.strip() else "no reason given"
    return line.rpartition("failed to compile JSON schema: ")[2]
