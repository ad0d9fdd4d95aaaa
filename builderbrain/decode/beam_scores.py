"""Scores of beams: what a token adds, what a finished text is worth, and what an unfinished one can still be worth.

The sum s of a hypothesis adds for each token

    log p(token | legal tokens) + grammar_weight * log p(legal tokens),

where p is the model's softmax and the second term is the log-mass that the mask leaves. With weight 0 that is the
log-probability under the constrained model, with weight 1 under the unmasked one: texts that the model would not have
written without the mask then cost what they cost. A text of L tokens, its end not counted, has the score

    s / max(L, 1) ** length_penalty

(as in transformers and vLLM; the form of Wu et al. 2016 without its constant). Among the continuations of one hypothesis the
k-th best, counted from 0, is ranked as if its sum were lower by k * diversity_penalty (Li et al. 2016, "A Simple, Fast Diverse
Decoding Algorithm"), so that one hypothesis does not fill the beam. The penalty ranks and enters no score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bbkernels.masked_sample import unpack_bitmask
from builderbrain.errors import InvalidRequestError, NonFiniteLogitsError


@dataclass(frozen=True, kw_only=True)
class BeamParameters:
    """What a search is asked for. `count` texts come out at most, of `width` hypotheses that are followed at once.

    `early_stopping` ends the search when `width` texts are finished; otherwise it ends when no hypothesis can come among the
    best `count` any more.
    """

    width: int = 4
    count: int = 1
    length_penalty: float = 1.0
    diversity_penalty: float = 0.0
    grammar_weight: float = 0.0
    early_stopping: bool = False

    def check(self) -> None:
        """Raises InvalidRequestError, naming the request's field, when a value is out of bounds."""
        if not 1 <= self.count <= self.width:
            raise InvalidRequestError(
                f"n: expected from 1 to the beam width, {self.width}, got {self.count}; raise beam_width or lower n", field="n"
            )
        for name in ("diversity_penalty", "grammar_weight"):
            if not 0 <= (value := getattr(self, name)) < float("inf"):
                raise InvalidRequestError(f"{name}: expected a number >= 0, got {value!r}; change it", field=name)


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """The most probable next tokens of one hypothesis, best first, with log-probabilities within the legal set.

    `log_mass` is that set's log-mass under the model, 0 where all is legal.
    """

    tokens: list[int]
    logprobs: list[float]
    log_mass: float


def continuations(logits: Tensor, bitmasks: Tensor | None, count: int) -> list[Continuations]:
    """The best `count` continuations of each of S hypotheses; fewer where fewer are legal and of positive probability.

    Args:
        logits: floating [S, V].
        bitmasks: int32 [S, ceil(V / 32)] on the CPU, or None where all is legal.

    Raises:
        NonFiniteLogitsError: the logits hold NaN or +inf.
    """
    scores = logits.to(torch.float32)
    if not bool((scores < torch.inf).all()):  # false for NaN as well
        raise NonFiniteLogitsError("expected finite logits, got NaN or infinity; use another version of the weights")
    whole = kept = scores.logsumexp(-1)
    if bitmasks is not None:
        allowed = unpack_bitmask(bitmasks.to(scores.device), scores.shape[1])
        scores = scores.masked_fill(~allowed, -torch.inf)
        kept = scores.logsumexp(-1)
    best = scores.topk(min(count, scores.shape[1]))
    logprobs = (best.values - kept[:, None]).clamp(max=0.0)
    masses = (kept - whole).clamp(max=0.0)
    found = []
    for tokens, values, mass in zip(best.indices.tolist(), logprobs.tolist(), masses.tolist(), strict=True):
        pairs = [(value, token) for token, value in zip(tokens, values, strict=True) if value > -torch.inf]
        pairs.sort(key=lambda pair: (-pair[0], pair[1]))  # ties by the token, on every device
        found.append(Continuations(tokens=[token for _, token in pairs], logprobs=[value for value, _ in pairs], log_mass=mass))
    return found


def score(total: float, length: int, length_penalty: float) -> float:
    """The score of a text of `length` tokens with the sum `total`."""
    return float(total / max(length, 1) ** length_penalty)


def best_reachable(total: float, length: int, most: int, length_penalty: float) -> float:
    """The highest score that a hypothesis can reach on its way from `length` to `most` tokens: its sum cannot rise."""
    return max(score(total, length, length_penalty), score(total, most, length_penalty))
