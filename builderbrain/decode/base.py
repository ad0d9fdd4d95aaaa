"""What decoding is asked for and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from builderbrain.grammar.base import ConstraintReport

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True)
class SamplingParameters:
    """How to draw tokens; the names and defaults of vLLM where it has them.

    `temperature` 0 is argmax. The draw at position i depends on (`seed`, i) alone, whatever else the server does.
    `logprobs` is the number of alternatives reported per token, None for none.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """Natural-log probability of a token and of the best alternatives, after the mask and before truncation."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One emitted piece: `text` holds only whole characters (it may be empty while UTF-8 is incomplete)."""

    token: int
    text: str
    logprob: TokenLogprob | None = None


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A finished output. `finish_reason` is `length` when it was cut; then `constraint.valid` is None."""

    tokens: tuple[int, ...]
    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    weight_version: str
    cached_tokens: int = 0
    """Of the prompt's, those that were taken over from an earlier text."""
    attempts: int = 1
    """Outputs decoded until one satisfied the constraint's validator; this is the last of them."""
    constraint: ConstraintReport | None = None
    logprobs: tuple[TokenLogprob, ...] = field(default=())
    score: float | None = None
    """Of a beam search, see `beam_scores`; None for a sampled output."""
