"""Runs the corpus through an engine and counts, feature by feature, where its masks and its final outputs go wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from builderbrain.errors import GrammarLimitError, GrammarRefusedError
from builderbrain.eval.grammar_conformance.case import Case
from builderbrain.eval.grammar_conformance.corpus import corpus, verdicts
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.grammar.engine import GrammarEngine


class ByteTokenizer:
    """One token a byte, and an end: what a constraint allows does not depend on the vocabulary."""

    def __init__(self) -> None:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        self.backend = Backend(models.BPE(vocab={character: index for index, character in enumerate(alphabet)}, merges=[]))
        self.backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.backend.decoder = decoders.ByteLevel()
        self.backend.add_special_tokens(["<|end|>"])
        self.eos_token_id = len(alphabet)
        self.vocab_size = len(alphabet) + 1

    def encode(self, text: str) -> list[int]:
        """Token ids of a text."""
        return list(self.backend.encode(text).ids)

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, and the characters that each stands for."""
        encoding = self.backend.encode(text)
        return list(encoding.ids), list(encoding.offsets)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids."""
        return str(self.backend.decode(list(token_ids)))


@dataclass(kw_only=True)
class Counts:
    """Instances of one feature.

    `wrongly_allowed`: invalid, and the mask allows them; `undeclared` are those of schemas of which nothing was left out, so
    that the mask should have been exact. `wrongly_refused`: valid, and the mask or the compilation refuses them.
    `falsely_exact`: wrongly allowed under a mask that is reported as exact. `handed_out`: invalid, allowed by the mask and by
    the validator of finished texts. `refused_schemas`: of `schemas`, those with a valid instance.
    """

    schemas: int = 0
    refused_schemas: int = 0
    valid: int = 0
    invalid: int = 0
    wrongly_allowed: int = 0
    undeclared: int = 0
    wrongly_refused: int = 0
    falsely_exact: int = 0
    handed_out: int = 0

    def to_json(self) -> dict[str, int]:
        """All counts by name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


@dataclass(kw_only=True)
class Measured:
    """Counts by feature, in the order of the corpus, and what the feature's schemas were compiled with."""

    counts: dict[str, Counts] = field(default_factory=dict)
    engines: dict[str, dict[str, int]] = field(default_factory=dict)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    """Source and text of every instance that was handed out although it is invalid."""


def mask_allows(compiled: CompiledConstraint, text: str, end: int) -> bool:
    """Whether `text`, and the end after it, gets through the masks."""
    matcher = compiled.matcher()
    try:
        matcher.accept_text(text.encode("utf-8"))
        matcher.accept(end)
    except GrammarRefusedError:
        return False
    return True


def measure(engine: GrammarEngine, end: int) -> Measured:
    """Run the whole corpus.

    Args:
        end: the engine's end-of-sequence token.
    """
    measured = Measured()
    for case, valid in _judged():
        counts = measured.counts.setdefault(case.feature, Counts())
        counts.schemas += 1
        counts.valid += sum(valid)
        counts.invalid += len(valid) - sum(valid)
        try:
            compiled = engine.compile(case.constraint, trusted=True)
        except (GrammarLimitError, GrammarRefusedError):
            counts.refused_schemas += any(valid)  # a schema that nothing satisfies is rightly refused
            counts.wrongly_refused += sum(valid)
            continue
        used = measured.engines.setdefault(case.feature, {})
        used[compiled.engine] = used.get(compiled.engine, 0) + 1
        for text, right in zip(case.texts, valid, strict=True):
            allowed = mask_allows(compiled, text, end)
            counts.wrongly_refused += right and not allowed
            counts.wrongly_allowed += allowed and not right
            counts.undeclared += allowed and not right and not compiled.left_out
            counts.falsely_exact += allowed and not right and compiled.exact
            if allowed and not right and compiled.validate(text) is None:
                counts.handed_out += 1
                measured.wrong.append((case.source, text))
    return measured


def _judged() -> Iterator[tuple[Case, tuple[bool, ...]]]:
    for case in corpus():
        yield case, verdicts(case)
