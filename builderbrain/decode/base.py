"""What decoding is asked for and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from builderbrain.decode.temperature import MAX_SCHEDULED_TOKENS, Temperature, temperature_at
from builderbrain.grammar.base import ConstraintReport

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, kw_only=True)
class SamplingParameters:
    """How to draw tokens; the names and defaults of vLLM where it has them.

    `temperature` 0 is argmax. The draw at position i depends on (`seed`, i) and these parameters alone, whatever else the
    server does. `logprobs` is the number of alternatives reported per token, None for none; `token_details` asks for
    `TokenDetails`.
    """

    max_tokens: int
    temperature: Temperature = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    """Texts that end an output and are no part of it."""
    stop_included: tuple[str, ...] = ()
    """Texts that end an output and stay in it."""
    stop_token_ids: tuple[int, ...] = ()
    """Tokens that end an output beside the end-of-sequence token; no part of its text."""
    logprobs: int | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token, what is added to its logit), before everything else; no token twice."""
    min_tokens: int = 0
    """Until the output has as many tokens, none that ends it is drawn, and no stop text ends it. A hard constraint that allows
    nothing but the end wins."""
    ignore_eos: bool = False
    """Whether the end-of-sequence token, and those that end a turn, are tokens like others. Not under a constraint."""
    energy_scale: float | None = None
    """Soft energy: what is taken from the logits of tokens that the constraint does not allow, in nats; None forbids them."""

    @property
    def is_greedy(self) -> bool:
        """Whether no token is drawn by chance, so that another seed gives the same output."""
        return temperature_at(self.temperature, 0) == temperature_at(self.temperature, MAX_SCHEDULED_TOKENS) == 0

    def temperature_at(self, position: int) -> float:
        """The temperature of the output's token at `position`, counted from 0."""
        return temperature_at(self.temperature, position)

    token_details: bool = False


@dataclass(frozen=True, kw_only=True)
class TokenLogprob:
    """Natural-log probability of a token and of the best alternatives: at temperature 1, after `logit_bias` and the mask (or
    less the energy of illegal tokens), before penalties and truncation."""

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
    ends: bool = False
    """Whether the token ended the output and is no part of it."""
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
    ending: TokenLogprob | None = None
    """Of the token that ended the output, where it was drawn and logprobs were asked for."""
    details: tuple[TokenDetails, ...] = field(default=())
    """Of every token, where they were asked for."""
    score: float | None = None
    """Of a beam search, see `beam_scores`; None for a sampled output."""

    @property
    def may_be_returned(self) -> bool:
        """Whether nothing that was promised is broken: under a hard constraint no finished text is invalid."""
        return self.constraint is None or self.constraint.valid is not False or self.constraint.softness is not None
