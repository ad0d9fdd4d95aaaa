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
    `logprobs` is the number of alternatives reported per token, None for none; `token_details` asks for `TokenDetails`.
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
    token_details: bool = False


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """Natural-log probability of a token and of the best alternatives, after the mask and before truncation."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Influence:
    """What a builder did to the base's distribution of one next token; the defaults are those of a base alone.

    `divergence` is KL(p || p_0) in nats, over the whole vocabulary, before mask, temperature and penalties: p is what was
    predicted, p_0 what the base alone predicts of the same text, its own earlier states included. `alpha` is the mean over the
    base's channels of the gates through which the builder acts, from 0 to 1; it is the same for all tokens of a version.
    `skill` is the id of the skill that answered, `skill_name` its name in the skill book.
    """

    divergence: float = 0.0
    alpha: float = 0.0
    skill: int | None = None
    skill_name: str | None = None


@dataclass(frozen=True, kw_only=True)
class TokenDetails:
    """How a token of the output came about.

    `grammar_energy` is minus the log of the probability that the model gave to the legal tokens, before temperature and
    penalties, nats; 0 without a constraint. A `forced` token was the constraint's, no distribution was asked for, and there is
    nothing else to say. `influence` is also None for a model that cannot tell it.
    """

    token: int
    forced: bool = False
    grammar_energy: float | None = None
    influence: Influence | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One emitted piece: `text` holds only whole characters (it may be empty while UTF-8 is incomplete).

    `details`, where they were asked for, are those of all tokens since the step before, forced ones among them.
    """

    token: int
    text: str
    logprob: TokenLogprob | None = None
    details: tuple[TokenDetails, ...] = ()


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
    details: tuple[TokenDetails, ...] = field(default=())
    """Of every token, where they were asked for."""
