"""Beam search under a constraint: the most probable legal texts, best first.

`BeamSearch` follows up to `width` hypotheses, all of which go through one pass of the model together. Illegal continuations
are pruned before they are ranked, so what the beam holds can always be finished; scores are those of `beam_scores`. What
`generate` promises holds here as well: a finished text satisfies the validator (one that does not is dropped), no stop string
leaves an invalid text, what `max_tokens` cut says `length`, and nothing depends on what the model runs beside it. There is no
chance in it: `seed` and `temperature` are not read.

Where every hypothesis runs into a dead end and no text is finished, there is an error, never a text without its constraint.
Under soft enforcement alone (`energy_scale`) the hypotheses then go on without it: each loses that many nats, and its report
says where the mask was empty. Invalid texts are then returned behind the others, and said to be so.

Text that a constraint forces is certain under the constrained model, in whichever tokens. With `grammar_weight` 0 it is
therefore added without model steps, in the tokenizer's own tokens; with another weight, or where log-probabilities are
asked for, each token is ranked by the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from builderbrain.decode.base import Generation, SamplingParameters
from builderbrain.decode.beam_row import BeamRow
from builderbrain.decode.beam_scores import BeamParameters, best_reachable, continuations, score
from builderbrain.decode.detokenise import Detokeniser
from builderbrain.decode.endings import report
from builderbrain.decode.hypothesis import Hypothesis, Rules
from builderbrain.decode.model import LimitedRoom, TokenModel, TokenState
from builderbrain.decode.parameters import check_constraint, check_context, check_parameters, check_token_ids
from builderbrain.errors import ConstraintViolatedError, InvalidRequestError, MaskEmptyError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for

_MOST_CONTINUATIONS = 16
"""Times the width: so many continuations of a hypothesis are looked at where most of them end the text."""


class BeamSearch:
    """One search in progress. Mutable, used by one thread at a time; `step` does one model step of every hypothesis."""

    def __init__(
        self,
        model: TokenModel,
        prompt_tokens: Sequence[int],
        parameters: SamplingParameters,
        beams: BeamParameters,
        constraint: CompiledConstraint | None = None,
        *,
        stop_tokens: frozenset[int] = frozenset(),
        jump: JumpForward | None = None,
    ) -> None:
        """Check the request. The model first runs in `step`.

        Args:
            parameters: those of length, ends, `logprobs` and `energy_scale` are read; the others draw tokens.
            stop_tokens: ids that end an unconstrained output beside the end-of-sequence token; never part of its text.
            jump: adds text that a constraint forces without model steps, where that changes no score.

        Raises:
            InvalidRequestError, ContextLengthError: a parameter is out of bounds, prompt and output do not fit, or the model
                has no room for all hypotheses at their longest.
        """
        check_parameters(parameters)
        check_token_ids(parameters, model.vocab_size)
        check_constraint(parameters, constrained=constraint is not None)
        for name in ("logit_bias", "min_tokens"):
            if getattr(parameters, name):
                raise InvalidRequestError(f"{name}: a beam search does not read it; leave it out", field=name)
        beams.check()
        check_context(len(prompt_tokens), parameters.max_tokens, model.max_length)
        longest = len(prompt_tokens) + parameters.max_tokens
        if isinstance(model, LimitedRoom) and not model.fits(beams.width, longest):
            raise InvalidRequestError(
                f"max_tokens: expected room for {beams.width} hypotheses of {longest} tokens, prompt included, got a smaller "
                "cache; lower max_tokens or the beam width, or start the server with a larger --kv-cache-tokens",
                field="max_tokens",
            )
        skips = beams.grammar_weight == 0
        # A jump would say nothing of its tokens, and step over those that end the output.
        jumps = skips and parameters.logprobs is None and not parameters.stop_token_ids
        own_ends = frozenset() if parameters.ignore_eos else stop_tokens | {model.eos_token_id}
        vocabulary = vocabulary_for(model.tokenizer, model.vocab_size)
        self._model, self._prompt = model, tuple(prompt_tokens)
        self._parameters, self._beams, self._constraint = parameters, beams, constraint
        self._detokeniser = Detokeniser(vocabulary, parameters.stop, parameters.stop_included)
        self._rules = Rules(
            vocab_size=model.vocab_size,
            end=model.eos_token_id,
            own_ends=own_ends,
            ends=own_ends | frozenset(parameters.stop_token_ids),
            max_tokens=parameters.max_tokens,
            energy_scale=parameters.energy_scale,
            constraint=constraint,
            jump=jump if jumps else None,
            skips_forced=skips,
        )
        self._open: list[TokenState] = []
        self._live: list[Hypothesis] | None = None
        self._found: dict[tuple[str, str], Hypothesis] = {}
        """Finished and cut hypotheses, the best of each text either way."""
        self._invalid = 0
        self._reused = 0
        self._results: tuple[Generation, ...] | None = None

    def ready(self) -> bool:
        """Whether `step` would find the model's answers there. Asking hands the model what it has not seen yet."""
        if self._live is None:
            self._begin()
        return all(state.ready for state in self._open)

    def close(self) -> None:
        """Give back what the model holds for this search."""
        for state in self._open:
            state.close()
        self._open, self._live = [], []

    def step(self) -> bool:
        """Extend every hypothesis by a token; False once the search is finished.

        Raises:
            MaskEmptyError: every hypothesis ran into a dead end.
            ConstraintViolatedError: the validator refused every text that was finished.
            NonFiniteLogitsError: the model is broken.
        """
        if self._results is not None:
            return False
        if self._live is None:
            self._begin()
        if self._live:
            self._extend(self._live)
        if self._live and not self._is_settled(self._live):
            return True
        self._conclude()
        return False

    def results(self) -> tuple[Generation, ...]:
        """At most `count` outputs of different texts, best first; under a constraint, finished ones before those that
        `max_tokens` cut. Fewer, where the search found no more.

        Raises:
            RuntimeError: `step` has not returned False yet.
        """
        if self._results is None:
            raise RuntimeError("expected a finished search, got one in progress; call step() until it returns False")
        return self._results

    def _begin(self) -> None:
        self._live = []
        try:
            first = Hypothesis(self._rules, self._detokeniser)
        except MaskEmptyError:
            if self._rules.energy_scale is None:
                return  # `step` finds nothing, and says so
            first = Hypothesis(self._rules, self._detokeniser, free=True)
        if first.finish is not None:
            self._keep(first)
            return
        state = self._model.start([*self._prompt])
        self._open = [state]
        self._follow(first, state)

    def _follow(self, hypothesis: Hypothesis, state: TokenState) -> None:
        """Go on with a hypothesis whose tokens up to `unseen` are the sequence's."""
        if self._live is None:
            self._live = []
        for token in hypothesis.unseen:
            state.append(token)
        hypothesis.unseen, hypothesis.state = [], state
        self._live.append(hypothesis)

    def _extend(self, live: list[Hypothesis]) -> None:
        states = [hypothesis.state for hypothesis in live if hypothesis.state is not None]
        self._reused = max(self._reused, states[0].reused)
        logits = torch.stack([state.logits() for state in states])
        chosen = self._choose(self._rows(live, logits))
        if not chosen and not self._found and self._rules.energy_scale is not None:
            chosen = self._choose(self._rows([hypothesis.freed() for hypothesis in live], logits))
        for _, hypothesis in chosen:
            if hypothesis.finish is not None:
                self._keep(hypothesis)
        going_on = [(place, hypothesis) for place, hypothesis in chosen if hypothesis.finish is None]
        heirs = Counter(place for place, _ in going_on)
        for place, state in enumerate(states):
            if place not in heirs:
                state.close()
        self._open = [state for place, state in enumerate(states) if place in heirs]
        # All forks stand where their origin does, so they are made before anything is appended.
        taken: list[TokenState] = []
        for place, _ in going_on:
            heirs[place] -= 1
            if heirs[place]:
                self._open.append(states[place].fork())
            taken.append(self._open[-1] if heirs[place] else states[place])
        self._live = []
        for (_, hypothesis), state in zip(going_on, taken, strict=True):
            self._follow(hypothesis, state)

    def _rows(self, live: list[Hypothesis], logits: Tensor) -> list[BeamRow]:
        """The hypotheses with the best continuations of each, from logits [S, V] in one call."""
        count = max(2 * self._beams.width, self._parameters.logprobs or 0)
        masks = [hypothesis.bitmask for hypothesis in live if hypothesis.bitmask is not None]
        best = continuations(logits, torch.stack(masks) if masks else None, count)
        return [
            BeamRow(hypothesis, line, found, count, self._beams.grammar_weight, self._parameters.logprobs)
            for hypothesis, line, found in zip(live, logits, best, strict=True)
        ]

    def _choose(self, rows: list[BeamRow]) -> list[tuple[int, Hypothesis]]:
        """The best continuations and the rows they come from: `width` that go on or are cut, and those that end on the way.

        An end counts as one of the best where fewer than `width` others come before it; behind that it is `late`.
        """
        width = self._beams.width
        for row in rows:
            row.clear_early_stops()
        while True:
            ranked = sorted(
                (-(total - rank * self._beams.diversity_penalty), place, rank)
                for place, row in enumerate(rows)
                for rank, total in enumerate(row.totals())
            )
            chosen: list[tuple[int, Hypothesis]] = []
            seen: set[tuple[int, ...]] = set()
            going_on = 0
            refused = False
            for _, place, rank in ranked:
                hypothesis = rows[place].continued(rank)
                if hypothesis is None:
                    refused = True  # the row has been counted again without it
                    break
                if hypothesis.finish != "stop":
                    if (key := tuple(hypothesis.tokens)) in seen:
                        continue  # two tokens may force the same text
                    seen.add(key)
                    going_on += 1
                hypothesis.late = len(chosen) >= width
                chosen.append((place, hypothesis))
                if going_on == width:
                    return chosen
            ended = len(chosen) - going_on
            if not refused and (ended >= width or not any([row.widen(_MOST_CONTINUATIONS * width) for row in rows])):
                return chosen

    def _keep(self, hypothesis: Hypothesis) -> None:
        """Keep a hypothesis that has ended, unless the validator refuses it or its text is there with a higher score."""
        finish = hypothesis.finish or "length"
        if finish == "stop" and self._constraint is not None and self._constraint.validate(hypothesis.text) is not None:
            self._invalid += 1
            hypothesis.invalid = True
            if self._rules.energy_scale is None:
                return
        key = (finish, hypothesis.text)
        if key not in self._found or self._order(hypothesis) < self._order(self._found[key]):
            self._found[key] = hypothesis

    def _score(self, hypothesis: Hypothesis) -> float:
        return score(hypothesis.total, len(hypothesis.tokens), self._beams.length_penalty)

    def _order(self, hypothesis: Hypothesis) -> tuple[bool, bool, bool, float, list[int]]:
        """Best first. Under a constraint whole texts come before those that were cut, late ends too, and invalid ones last."""
        cut = self._constraint is not None and hypothesis.finish == "length"
        return (
            hypothesis.invalid,
            cut,
            hypothesis.late and hypothesis.finish == "stop",
            -self._score(hypothesis),
            hypothesis.tokens,
        )

    def _is_settled(self, live: list[Hypothesis]) -> bool:
        """Whether what is live can change the result no more, or need not."""
        beams = self._beams
        scores = sorted(
            (self._score(each) for each in self._found.values() if each.finish == "stop" and not each.late), reverse=True
        )
        if len(scores) < (beams.width if beams.early_stopping else beams.count):
            return False
        most = self._parameters.max_tokens
        return beams.early_stopping or all(
            best_reachable(each.total, len(each.tokens), most, beams.length_penalty) <= scores[beams.count - 1] for each in live
        )

    def _conclude(self) -> None:
        self.close()
        constraint = self._constraint
        if not self._found and self._invalid and constraint is not None:
            raise ConstraintViolatedError(
                f"expected a text that satisfies its {constraint.constraint.kind}, got {self._invalid} from the beams that the "
                f"validator refuses; the mask does not enforce {', '.join(constraint.declared) or 'all of it'}: simplify that, "
                "or ask for more beams",
                field=constraint.declared[0] if constraint.declared else None,
            )
        if not self._found:
            raise MaskEmptyError(
                "expected a beam that can be finished, got dead ends alone: the constraint and the stop strings leave no "
                "token; loosen them, or ask for more beams"
            )
        best: dict[str, Hypothesis] = {}
        for each in sorted(self._found.values(), key=self._order):
            best.setdefault(each.text, each)  # it may be there whole, and cut inside its next character
        self._results = tuple(self._generation(each) for each in [*best.values()][: self._beams.count])

    def _generation(self, hypothesis: Hypothesis) -> Generation:
        finish = hypothesis.finish or "length"
        return Generation(
            tokens=tuple(hypothesis.tokens),
            text=hypothesis.text,
            finish_reason=finish,
            prompt_tokens=len(self._prompt),
            weight_version=self._model.weight_version,
            cached_tokens=self._reused,
            constraint=report(self._constraint, hypothesis.text, finish, hypothesis.softness),
            logprobs=hypothesis.logprobs,
            score=self._score(hypothesis),
        )
