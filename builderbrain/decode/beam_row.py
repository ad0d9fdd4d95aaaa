"""One hypothesis of a step and its best continuations, from which illegal ones are pruned as they are met."""

from __future__ import annotations

from torch import Tensor

from builderbrain.decode.base import TokenLogprob
from builderbrain.decode.beam_scores import Continuations, continuations
from builderbrain.decode.endings import clear_bit
from builderbrain.decode.hypothesis import Hypothesis
from builderbrain.errors import GrammarRefusedError, MaskEmptyError

_REFUSALS_BEFORE_REFINING = 16
_MOST_REFUSALS = 64
"""Of one hypothesis in one step, after which it is given up."""


class BeamRow:
    """The continuations are counted again, over what is left, whenever one turns out to be illegal or a dead end."""

    def __init__(
        self, hypothesis: Hypothesis, logits: Tensor, best: Continuations, count: int, weight: float, logprobs: int | None
    ) -> None:
        """The `count` best of logits [V]; `weight` is `grammar_weight`, `logprobs` how many alternatives are reported."""
        self._hypothesis, self._logits, self._best = hypothesis, logits, best
        self._count, self._weight, self._wanted = count, weight, logprobs
        self._made: dict[int, Hypothesis] = {}
        self._refusals = 0

    def totals(self) -> list[float]:
        """The sums that the continuations would have, highest first."""
        base = self._hypothesis.total + self._weight * self._best.log_mass
        return [base + logprob for logprob in self._best.logprobs]

    def continued(self, rank: int) -> Hypothesis | None:
        """The hypothesis with the continuation of that rank; None, and all are counted again, where that is illegal."""
        token = self._best.tokens[rank]
        added = self._best.logprobs[rank] + self._weight * self._best.log_mass
        made = self._made.get(token)
        if made is not None:
            return made
        try:
            made = self._hypothesis.extended(token, added, self._logprob(rank))
        except (GrammarRefusedError, MaskEmptyError):
            self._refuse(token)
            return None
        self._made[token] = made
        return made

    def clear_early_stops(self) -> None:
        """Make the tokens illegal that would complete a stop string and leave an invalid text."""
        count = self._count
        while bad := [token for token in self._best.tokens if self._hypothesis.stops_too_early(token)]:
            count = min(2 * count, self._logits.shape[0])
            self._clear(bad, count)
        self._best = _first(self._best, self._count)

    def widen(self, most: int) -> bool:
        """Look at twice as many continuations, up to `most`; False where there are no more."""
        if len(self._best.tokens) < self._count or self._count >= most:
            return False
        self._count *= 2
        self._clear([], self._count)
        self.clear_early_stops()
        return True

    def _refuse(self, token: int) -> None:
        self._refusals += 1
        self._clear([token], self._count)
        if self._refusals == _REFUSALS_BEFORE_REFINING:
            try:
                self._hypothesis.refine()
                self._clear([], self._count)
            except MaskEmptyError:
                self._refusals = _MOST_REFUSALS
        if self._refusals >= _MOST_REFUSALS:
            self._best = Continuations(tokens=[], logprobs=[], log_mass=0.0)
        else:
            self.clear_early_stops()

    def _clear(self, tokens: list[int], count: int) -> None:
        """Count again, without these tokens. What was made keeps its place in the text, and gets its new share."""
        mask = self._hypothesis.bitmask
        if mask is not None:
            for token in tokens:
                clear_bit(mask, token)
        self._made = {}
        self._best = continuations(self._logits[None], None if mask is None else mask[None], count)[0]

    def _logprob(self, rank: int) -> TokenLogprob | None:
        if self._wanted is None:
            return None
        pairs = list(zip(self._best.tokens, self._best.logprobs, strict=True))
        return TokenLogprob(token=pairs[rank][0], logprob=pairs[rank][1], top=tuple(pairs[: self._wanted]))


def _first(best: Continuations, count: int) -> Continuations:
    return Continuations(tokens=best.tokens[:count], logprobs=best.logprobs[:count], log_mass=best.log_mass)
