"""One text of a beam search: its tokens, where its constraint stands, and what may come next."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.decode.base import FinishReason, TokenLogprob
from builderbrain.decode.detokenise import Detokeniser
from builderbrain.decode.endings import only_end_is_legal, stops_too_early
from builderbrain.decode.model import TokenState
from builderbrain.grammar.base import CompiledConstraint, Matcher, Softness
from builderbrain.grammar.jump import JumpForward


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What all hypotheses of one search share. `skips_forced` is whether what is forced may be added without a model step."""

    vocab_size: int
    end: int
    own_ends: frozenset[int]
    """`end`, and what ends a turn; the constraint allows them behind a valid text alone."""
    ends: frozenset[int]
    """These, and what the request names beside them."""
    max_tokens: int
    energy_scale: float | None
    """What a text loses that leaves its constraint, under soft enforcement; None where none may."""
    constraint: CompiledConstraint | None
    jump: JumpForward | None
    skips_forced: bool


class Hypothesis:
    """Its text never changes once it is made; refused tokens are cleared from its mask."""

    def __init__(self, rules: Rules, detokeniser: Detokeniser, *, free: bool = False) -> None:
        """The empty text, with what the constraint forces; free of it from the first token on, if wanted.

        Raises:
            MaskEmptyError: the constraint leaves no first token.
        """
        self.rules = rules
        self.tokens: list[int] = []
        self.unseen: list[int] = []
        """Tokens at the end that the model has not been told of."""
        self.total = 0.0
        """The sum of `beam_scores`."""
        self.logprobs: tuple[TokenLogprob, ...] = ()
        self.finish: FinishReason | None = None
        self.invalid = False
        """Whether the validator refuses the finished text, which soft enforcement allows."""
        self.late = False
        """Whether a whole beam of others was ranked before this end; it is a reserve then."""
        self.bitmask: Tensor | None = None
        """The legal next tokens, int32 [ceil(V / 32)]; None where all are."""
        self.state: TokenState | None = None
        self._detokeniser = detokeniser
        self._matcher: Matcher | None = None if rules.constraint is None or free else rules.constraint.matcher()
        self._left_at: int | None = None
        self._illegal_tokens = 0
        if free:
            self._leave()
        self._settle()

    @property
    def text(self) -> str:
        """All whole characters so far."""
        return self._detokeniser.text

    def extended(self, token: int, added: float, logprob: TokenLogprob | None) -> Hypothesis:
        """The hypothesis with one token more, and what that forces. It has no `state` yet.

        Raises:
            GrammarRefusedError: the token is illegal here.
            MaskEmptyError: nothing can follow it.
        """
        longer = copy(self)
        longer.state = longer.bitmask = None
        longer.total += added
        longer._illegal_tokens += self._left_at is not None
        if self._matcher is not None:
            longer._matcher = self._matcher.fork()
            longer._matcher.accept(token)
        if token in self.rules.ends:
            longer.finish = "stop"
            return longer
        longer._detokeniser = self._detokeniser.fork()
        longer.tokens, longer.unseen = [*self.tokens, token], [token]
        if logprob is not None:
            longer.logprobs = (*self.logprobs, logprob)
        if longer._detokeniser.add(token).stop_at is not None:
            longer.finish = "stop"
        else:
            longer._settle()
        return longer

    def freed(self) -> Hypothesis:
        """The hypothesis without its constraint, of which nothing is left to follow."""
        free = copy(self)
        free._matcher = free.bitmask = None
        free._leave()
        return free

    @property
    def softness(self) -> Softness | None:
        """How the text fared under soft enforcement; None where that was not asked for."""
        scale, left_at = self.rules.energy_scale, self._left_at
        if scale is None:
            return None
        return Softness(energy_scale=scale, illegal_tokens=self._illegal_tokens, left_at=left_at, mask_empty_at=left_at)

    def stops_too_early(self, token: int) -> bool:
        """Whether a token would end the text, by itself or by a stop string, while the constraint refuses it."""
        rules = self.rules
        if rules.constraint is None or self._matcher is None:
            return False
        if not self._detokeniser.has_stops and rules.ends == rules.own_ends:
            return False
        return stops_too_early(rules.constraint, self._detokeniser, token, own_ends=rules.own_ends, ends=rules.ends)

    def refine(self) -> None:
        """Clear from the mask all that the constraint refuses.

        Raises:
            MaskEmptyError: nothing is left.
        """
        if self._matcher is not None and self.bitmask is not None:
            self._matcher.refine(self.bitmask)

    def _leave(self) -> None:
        self._left_at = len(self.tokens)
        self.total -= self.rules.energy_scale or 0.0

    def _settle(self) -> None:
        """Add what is forced, and see what may follow or whether the text has ended."""
        self._fill()
        if self.finish is None and self._jump():
            self._fill()

    def _fill(self) -> None:
        rules = self.rules
        if self._matcher is not None:
            self.bitmask = torch.zeros((rules.vocab_size + 31) // 32, dtype=torch.int32)
            self._matcher.fill_mask(self.bitmask)
            if rules.skips_forced and only_end_is_legal(self.bitmask, rules.end):
                self._matcher.accept(rules.end)
                self.finish = "stop"
                return
        if len(self.tokens) >= rules.max_tokens:
            self.finish = "length"

    def _jump(self) -> bool:
        """Add what the constraint forces; tokens that the model has not seen may be replaced by others of the same text."""
        rules, matcher = self.rules, self._matcher
        if rules.jump is None or matcher is None:
            return False
        if self._detokeniser.has_stops and self._detokeniser.would_stop(matcher.forced_text()):
            return False
        found = rules.jump.jump(matcher, self.unseen, most_tokens=rules.max_tokens - len(self.tokens))
        if found is None:
            return False
        self.tokens[len(self.tokens) - found.drop :] = found.tokens
        self.unseen[len(self.unseen) - found.drop :] = found.tokens
        self._detokeniser.add_text(found.text)
        return True
