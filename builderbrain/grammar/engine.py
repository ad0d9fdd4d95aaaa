"""The mask engine: admission, choice of a library, trial in a child, compilation, cache.

    source -> admission limits -> rewriting for a library, the best first -> trial in a child -> matcher + strict text machine
                                                                                             -> validator of finished texts

No library is trusted with validity: what its masks leave open is in `declared` and left to `validate`. A library that refuses a
source is followed by the next one; the report names the one that was used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from builderbrain.errors import GrammarLimitError, GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.admission import Admitted, Validate, admit
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.cache import BoundedCache, cache_key
from builderbrain.grammar.choosing import is_loose, order_engines
from builderbrain.grammar.mask_store import MaskStore
from builderbrain.grammar.matching import StrictMatcher, new_bitmask
from builderbrain.grammar.native import ENGINES, EngineName, NativeEngine, NativeGrammar, NativeRefusal, native_engine
from builderbrain.grammar.one_at_a_time import OneAtATime
from builderbrain.grammar.overlay import Overlay
from builderbrain.grammar.placed_masks import PlacedMasks
from builderbrain.grammar.places import Places
from builderbrain.grammar.strict_tags import StrictTags
from builderbrain.grammar.strict_text import StrictJson, StrictText
from builderbrain.grammar.string_masks import StringMasks, spells_every_byte
from builderbrain.grammar.structural_tags import TagSet
from builderbrain.grammar.trial import CompileTrial, refusal
from builderbrain.grammar.vocabulary import vocabulary_for
from builderbrain.grammar.weight import is_light
from builderbrain.hosts.base import Tokenizer

_MAX_ENTRIES = 512
_MAX_BYTES = 256 << 20
_REFUSAL_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class CompiledGrammar:
    """See `builderbrain.grammar.base.CompiledConstraint`."""

    constraint: Constraint
    engine: EngineName
    left_out: tuple[str, ...]
    """JSON pointers of what was taken out of the schema because the library does not implement it."""
    loose: tuple[str, ...]
    """JSON pointers of what the library is known, by the engine table, to enforce too loosely."""
    native: NativeGrammar
    overlay: Overlay
    strict_text: bool
    placed: PlacedMasks | None
    """Masks that its outputs share."""
    check: Validate | None
    """None for EBNF: the text is replayed through a fresh matcher."""

    @property
    def declared(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.left_out, *self.loose]))

    @property
    def exact(self) -> bool:
        return not self.left_out and not self.loose

    def matcher(self) -> StrictMatcher:
        return StrictMatcher(self.native.matcher(), self.overlay, strict_text=self.strict_text, placed=self.placed)

    def validate(self, text: str) -> str | None:
        if self.check is not None:
            return self.check(text)
        matcher = self.native.matcher()
        try:
            data = text.encode("utf-8")
        except UnicodeEncodeError:
            return "not UTF-8"
        if not matcher.accept_text(data):
            return "the text is not in the grammar's language"
        return None if matcher.may_end() else "the text ends where the grammar does not"


class GrammarEngine:
    """See `builderbrain.grammar.base.MaskEngine`. Safe to share between threads."""

    engines: tuple[EngineName, ...] = ENGINES
    """The libraries to choose from; on a tie of the engine table the first is preferred."""

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
        self._natives: dict[EngineName, NativeEngine] = {name: native_engine(name, self.vocabulary) for name in self.engines}
        self._trial = CompileTrial(
            self.vocabulary, engines=self.engines, seconds=compile_seconds, memory_bytes=compile_memory_bytes
        )
        self._json_overlay = Overlay(StrictJson(), self.vocabulary)
        self._text_overlay = Overlay(StrictText(), self.vocabulary)
        self.cache: BoundedCache[CompiledGrammar | GrammarLimitError | GrammarRefusedError] = BoundedCache(
            max_entries=_MAX_ENTRIES, max_bytes=_MAX_BYTES
        )
        self._compiling = OneAtATime()
        self.masks = MaskStore((vocab_size + 31) // 32)
        self._spells = spells_every_byte(self.vocabulary)

    @cached_property
    def _strings(self) -> StringMasks:
        return StringMasks(self.vocabulary, self._natives["llguidance"])

    def warm_up(self) -> None:
        """Start the compiling child, and read the vocabulary for masks inside strings; without this the first client
        constraint that needs either waits for it."""
        self._trial.warm_up()
        if "llguidance" in self.engines and self._spells:
            _ = self._strings

    def close(self) -> None:
        """End the compiling child. The engine stays usable."""
        self._trial.close()

    def compile(self, constraint: Constraint, *, trusted: bool = False) -> CompiledGrammar:
        """Compile, or return the cached result; refusals are cached too.

        Args:
            trusted: the source ships with the project: no child, EBNF allowed and without limits.
        """
        key = cache_key(constraint.kind, constraint.source, str(trusted))
        found = self.cache.get(key)
        if found is None:
            with self._compiling.holding(key):  # one that the child tries for seconds keeps no other waiting
                found = self.cache.peek(key) or self._compile_and_keep(key, constraint, trusted)
        if isinstance(found, CompiledGrammar):
            return found
        raise type(found)(found.message, field=found.field)

    def _compile_and_keep(
        self, key: str, constraint: Constraint, trusted: bool
    ) -> CompiledGrammar | GrammarLimitError | GrammarRefusedError:
        try:
            compiled = self._compile(constraint, trusted)
        except (GrammarLimitError, GrammarRefusedError) as error:
            self.cache.put(key, type(error)(error.message, field=error.field), _REFUSAL_BYTES)
            return error
        self.cache.put(key, compiled, compiled.native.size_bytes + 4 * len(constraint.source))
        return compiled

    def _compile(self, constraint: Constraint, trusted: bool) -> CompiledGrammar:
        if constraint.kind == "grammar" and not (trusted or self._allow_client_grammar):
            raise GrammarRefusedError(
                "expected a JSON Schema, a regex or a choice, got an EBNF grammar, which clients may not send here; "
                "express it as one of those, or start the engine with allow_client_grammar",
                field="grammar",
            )
        admitted = admit(constraint, trusted=trusted)
        field = "" if admitted.json or admitted.tags else constraint.kind
        refusals: dict[EngineName, GrammarRefusedError] = {}
        names = [name for name in order_engines(admitted.uses, self.engines) if name in admitted.engines]
        if not names:
            raise GrammarRefusedError(
                f"expected a kind that {' or '.join(self.engines)} enforces, got {constraint.kind}; use json, regex or choice"
            )
        for name in names:
            try:
                return self._compile_with(name, constraint, admitted, trusted=trusted, field=field)
            except GrammarRefusedError as error:
                refusals[name] = error
        if admitted.tags is not None:
            self._refuse_the_tag(admitted.tags, names[0], trusted=trusted)
        raise _combined(refusals, admitted, field)

    def _refuse_the_tag(self, tags: TagSet, name: EngineName, *, trusted: bool) -> None:
        """Raise the refusal of the first tag whose schema the library does not take alone; none may be."""
        for tag in tags.tags:
            constraint = Constraint(kind="json_schema", source=json.dumps(tag.schema))
            alone = admit(constraint, trusted=trusted)
            try:
                self._compile_with(name, constraint, alone, trusted=trusted, field="")
            except GrammarRefusedError as error:
                place = error.field or _place([error], alone)
                raise GrammarRefusedError(error.message, field=tag.pointer + place) from error

    def _compile_with(
        self, name: EngineName, constraint: Constraint, admitted: Admitted, *, trusted: bool, field: str
    ) -> CompiledGrammar:
        prepared = admitted.prepare(name)
        if not trusted and not is_light(name, prepared.source, admitted.schemas):
            self._trial.run(name, prepared.kind, prepared.source, field=field)
        try:
            native = self._natives[name].compile(prepared.kind, prepared.source)
        except NativeRefusal as error:
            raise refusal(str(error), field=field) from error
        places = None
        if name == "llguidance" and self._spells and prepared.schema is not None:
            places = Places(prepared.schema, longest=self.vocabulary.longest)
        compiled = CompiledGrammar(
            constraint=constraint,
            engine=name,
            left_out=prepared.declared,
            loose=_loose(name, admitted),
            native=native,
            overlay=self._overlay(admitted, places),
            strict_text=self._natives[name].strict_text,
            placed=None if places is None else PlacedMasks(self.masks, lambda: self._strings),
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

    def _overlay(self, admitted: Admitted, places: Places | None) -> Overlay:
        if places is not None:
            return Overlay(StrictJson(places), self.vocabulary)
        if admitted.tags is not None:
            return Overlay(StrictTags(admitted.tags), self.vocabulary)
        return self._json_overlay if admitted.json else self._text_overlay


def _loose(name: EngineName, admitted: Admitted) -> tuple[str, ...]:
    return tuple(pointer for feature, pointers in admitted.uses.items() if is_loose(feature, name) for pointer in pointers)


def _combined(refusals: dict[EngineName, GrammarRefusedError], admitted: Admitted, field: str) -> GrammarRefusedError:
    """One refusal for all libraries, at the keyword that their reasons name."""
    if len(refusals) == 1:
        return next(iter(refusals.values()))
    reasons = "; ".join(f"{name}: {error.message:.160}" for name, error in refusals.items())
    return GrammarRefusedError(
        f"expected a source that a grammar library takes, got refusals ({reasons}); correct or simplify it",
        field=_place(refusals.values(), admitted) or field,
    )


def _place(refusals: Iterable[GrammarRefusedError], admitted: Admitted) -> str:
    """The place that a refusal has, else the first use of a keyword that one names."""
    messages = " ".join(error.message for error in refusals)
    named = [pointers[0] for feature, pointers in admitted.uses.items() if pointers and feature in messages]
    return next((error.field for error in refusals if error.field), None) or next(iter(named), "")
