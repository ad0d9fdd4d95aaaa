"""Constraints on text: what a request may ask for, and the interface of an engine that enforces it.

Masks use xgrammar's packed layout: int32 [ceil(V / 32)], bit t % 32 of word t // 32 is 1 when token t is legal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

ConstraintKind = Literal["json_object", "json_schema", "grammar", "regex", "choice", "structural_tag"]


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """A request's constraint: `kind`, and its `source` text (JSON text of a schema or a structural tag, EBNF, a pattern, a JSON
    list)."""

    kind: ConstraintKind
    source: str


@dataclass(frozen=True, kw_only=True)
class Softness:
    """How one output fared under soft energy. Behind its first illegal token nothing is legal or illegal any more."""

    energy_scale: float
    """What was taken from the logits of illegal tokens, in nats."""
    illegal_tokens: int
    """Tokens drawn from the place on where the text left the constraint; one that ended the output counts."""
    left_at: int | None
    """Output position of the first of them; None when the text never left."""
    mask_empty_at: int | None
    """Output position where the constraint allowed no token at all; None when there was always one."""


@dataclass(frozen=True, kw_only=True)
class ConstraintReport:
    """What was enforced on one output, for the reply's `builderbrain.constraint`.

    `valid` is the verdict of the independent validator on the finished text; None when the text was cut off.
    `declared` lists JSON pointers of schema keywords that the mask does not enforce (the validator does).
    `softness` is None where illegal tokens were forbidden.
    """

    kind: str
    engine: str
    exact: bool
    valid: bool | None
    declared: tuple[str, ...] = ()
    softness: Softness | None = None

    @property
    def enforcement(self) -> Literal["hard", "soft"]:
        """Whether illegal tokens were forbidden or only less likely."""
        return "hard" if self.softness is None else "soft"


class Matcher(Protocol):
    """The state of one output under one compiled constraint. Mutable, used by one request."""

    def fill_mask(self, bitmask: Tensor) -> None:
        """Write the legal next tokens into `bitmask`, int32 [ceil(V / 32)] on the CPU.

        Raises:
            MaskEmptyError: no token is legal.
        """
        ...

    def accept(self, token: int) -> None:
        """Advance by a sampled token; the end-of-sequence token completes the output.

        A token of the mask may still be refused, by a rule that costs too much to ask of every token (a duplicate JSON
        key, say). Then nothing has changed: clear its bit and draw again.

        Raises:
            GrammarRefusedError: the token is illegal here.
        """
        ...

    def refine(self, bitmask: Tensor) -> None:
        """Clear every token of `bitmask` that `accept` would refuse. Exact, and slow on a large vocabulary.

        Raises:
            MaskEmptyError: none is left.
        """
        ...

    def forced_text(self) -> bytes:
        """Bytes that every legal output goes on with from here, empty when there is a choice. May end inside a character."""
        ...

    def accept_text(self, data: bytes) -> None:
        """Advance by text, whichever tokens spell it: the state after it depends on bytes alone.

        Raises:
            GrammarRefusedError: the text is illegal here; nothing has changed.
        """
        ...

    def is_complete(self) -> bool:
        """Whether the end-of-sequence token was accepted."""
        ...

    def fork(self) -> Matcher:
        """A second matcher that stands where this one does; what either accepts later does not move the other."""
        ...


class CompiledConstraint(Protocol):
    """A constraint compiled for one tokenizer; immutable, shared between requests, cached."""

    @property
    def constraint(self) -> Constraint:
        """What was compiled."""
        ...

    @property
    def engine(self) -> str:
        """Name of the engine."""
        ...

    @property
    def exact(self) -> bool:
        """Whether the mask alone enforces the whole constraint."""
        ...

    @property
    def declared(self) -> tuple[str, ...]:
        """JSON pointers of keywords that only the validator enforces."""
        ...

    def matcher(self) -> Matcher:
        """A fresh matcher at the start of the output."""
        ...

    def validate(self, text: str) -> str | None:
        """Independent check of a finished text: None when valid, else the reason."""
        ...


class MaskEngine(Protocol):
    """Compiles constraints for one tokenizer."""

    def compile(self, constraint: Constraint, *, trusted: bool = False) -> CompiledConstraint:
        """Compile, or return the cached result.

        Args:
            trusted: the source ships with the project (the plan grammar, say); no limits apply and EBNF is allowed.

        Raises:
            GrammarLimitError: over an admission limit; names the limit and the JSON pointer.
            GrammarRefusedError: malformed, or uses what cannot be enforced.
        """
        ...
