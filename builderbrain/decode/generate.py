"""Decoding one output: a `Decoding` that a scheduler advances a token at a time, and two loops over it.

Under a constraint every kept token is legal, and three promises meet: the finished text satisfies the validator, it holds no
stop string, and an output cut by `max_tokens` says `length`. A stop string that would leave an invalid text is therefore
never completed: the token that would is masked and another one drawn, as is a token that the matcher refuses. The noise of
a position is fixed, so drawing again is drawing from the smaller set.

Under soft energy (`energy_scale`) nothing is promised but a report: an illegal token is less likely, and behind the first one
the output goes on as if there were no constraint. Stop strings end it where they stand.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace

import torch
from torch import Tensor

from builderbrain.decode.base import FinishReason, Generation, SamplingParameters, Step, TokenDetails, TokenLogprob
from builderbrain.decode.details import DetailsLog
from builderbrain.decode.detokenise import Detokeniser
from builderbrain.decode.endings import clear_bit, has_bit, only_end_is_legal, report, stops_too_early
from builderbrain.decode.model import DrawsTogether, TokenModel, TokenState
from builderbrain.decode.parameters import check_constraint, check_context, check_parameters, check_token_ids
from builderbrain.decode.sampler import Draw, Sampler, checked
from builderbrain.decode.soft import SoftEnergy
from builderbrain.errors import ConstraintViolatedError, GrammarRefusedError, MaskEmptyError, NonFiniteLogitsError
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.vocabulary import vocabulary_for

_REFUSALS_BEFORE_REFINING = 16
DEFAULT_ATTEMPTS = 4


class Decoding:
    """One output in progress. Mutable, used by one thread at a time; `step` does one model step."""

    def __init__(
        self,
        model: TokenModel,
        prompt_tokens: Sequence[int],
        parameters: SamplingParameters,
        constraint: CompiledConstraint | None = None,
        *,
        stop_tokens: frozenset[int] = frozenset(),
        jump: JumpForward | None = None,
    ) -> None:
        """Check the request. The model first runs in `step`.

        Args:
            stop_tokens: ids that end a turn; they end an unconstrained output as the end-of-sequence token does, and are never
                part of its text.
            jump: adds text that a hard constraint forces without model steps, where no logprobs are asked for.

        Raises:
            InvalidRequestError, ContextLengthError: a parameter is out of bounds, or prompt and output do not fit.
        """
        check_parameters(parameters)
        check_token_ids(parameters, model.vocab_size)
        check_constraint(parameters, constrained=constraint is not None)
        check_context(len(prompt_tokens), parameters.max_tokens, model.max_length)
        self._model = model
        self._prompt = tuple(prompt_tokens)
        self._parameters = parameters
        self._constraint = constraint
        self._own_ends = frozenset() if parameters.ignore_eos else stop_tokens | {model.eos_token_id}
        self._ends = self._own_ends | frozenset(parameters.stop_token_ids)
        self._sampler = Sampler(parameters, prompt_tokens, model.vocab_size, self._ends)
        vocabulary = vocabulary_for(model.tokenizer, model.vocab_size)
        self._detokeniser = Detokeniser(vocabulary, parameters.stop, parameters.stop_included)
        self._matcher = None if constraint is None else constraint.matcher()
        self._bitmask: Tensor | None = None
        self._state: TokenState | None = None
        self._together: DrawsTogether | None = None
        self._pending: list[int] = []
        self._soft = None if parameters.energy_scale is None else SoftEnergy(parameters.energy_scale)
        # A jump would say nothing of its tokens, and step over those that end the output.
        one_by_one = self._soft is not None or parameters.logprobs is not None or bool(parameters.stop_token_ids)
        self._jump = None if self._matcher is None or one_by_one else jump
        self._tokens: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._ending: TokenLogprob | None = None
        self._details = DetailsLog() if parameters.token_details else None
        self._finish: FinishReason | None = None
        self._over = False  # the step that ends the output was given
        self.allowed_log_masses: list[float] = []
        """Per drawn token, the log of the probability that the unmasked model gave to the legal tokens; 0 when free."""

    def ready(self) -> bool:
        """Whether `step` would find the model's answer there. Asking hands the model what it has not seen yet."""
        if self._finish is not None:
            return True
        state = self._advanced()
        return state is None or state.ready

    def close(self) -> None:
        """Give back what the model holds for this output."""
        if self._state is not None:
            self._state.close()

    def step(self) -> Step | None:
        """Sample one token; None once the output is finished.

        A step whose token ends the output has no text of its own, but what was held back.

        Raises:
            MaskEmptyError: the constraint, or it and the stop strings, leave no token.
            NonFiniteLogitsError: the model is broken.
        """
        if self._over:
            return None
        state = self._advanced()
        if state is None:  # all of it was forced
            self._over = True
            return Step(token=self._tokens[-1], text=self._detokeniser.emit(final=True), details=self._news())
        logits = state.logits()
        try:
            draw = self._draw(logits)
        except NonFiniteLogitsError as error:
            error.weight_version = self._model.weight_version
            raise
        if self._soft is not None:
            self._soft.drawn()
        self.allowed_log_masses.append(draw.allowed_log_mass)
        logprob = self._sampler.logprob(draw, logits, self._bitmask, len(self._tokens))
        self._bitmask = None
        ends = draw.token in self._ends
        if ends:
            self._finish, self._ending = "stop", logprob
        else:
            self._keep(draw, logprob)
        self._over = self._finish is not None
        text = self._detokeniser.emit(final=self._over)
        return Step(token=draw.token, text=text, logprob=logprob, ends=ends, details=self._news())

    def result(self) -> Generation:
        """The finished output. `constraint.valid` is the validator's verdict, None when the output was cut off.

        Raises:
            RuntimeError: `step` has not returned None yet.
        """
        if self._finish is None:
            raise RuntimeError("expected a finished output, got one in progress; call step() until it returns None")
        return Generation(
            tokens=tuple(self._tokens),
            text=self._detokeniser.text,
            finish_reason=self._finish,
            prompt_tokens=len(self._prompt),
            weight_version=self._model.weight_version,
            cached_tokens=0 if self._state is None else self._state.reused,
            constraint=report(
                self._constraint,
                self._detokeniser.text,
                self._finish,
                None if self._soft is None else self._soft.report(),
            ),
            logprobs=tuple(self._logprobs),
            ending=self._ending,
            details=() if self._details is None else self._details.all(),
        )

    def _advanced(self) -> TokenState | None:
        """The state after everything that was kept, told what the next token will be drawn with; None when all of the output
        is forced, so that the model is not asked."""
        if self._state is None:
            if self._finish is None:
                self._jump_ahead()
            if self._finish is not None:
                return None
            self._state = self._model.start(self._prompt)
            self._together = self._state if isinstance(self._state, DrawsTogether) else None
            if self._details is not None:
                self._details.watch(self._state)
        elif not self._pending:
            return self._state
        for token in self._pending:
            self._state.append(token)
        self._pending = []
        if self._together is not None:
            if self._fills_later():
                self._together.ask(self._sampler.row(None, len(self._tokens)), self._mask)
            else:
                with suppress(MaskEmptyError):  # `step` meets it again, and says so
                    self._together.ask(self._sampler.row(self._mask(), len(self._tokens)))
        return self._state

    def _news(self) -> tuple[TokenDetails, ...]:
        return () if self._details is None else self._details.news()

    def _fills_later(self) -> bool:
        """Whether the next mask is made while the model runs."""
        return self._matcher is not None and self._together is not None and self._together.fills_masks

    def _keep(self, draw: Draw, logprob: TokenLogprob | None) -> None:
        """Add a token to the output and see whether that finishes it."""
        token = draw.token
        if self._details is not None:
            self._details.drawn(draw)
        self._pending.append(token)
        self._tokens.append(token)
        self._sampler.count(token)
        if logprob is not None:
            self._logprobs.append(logprob)
        stopped = self._detokeniser.add(token, may_stop=self._may_stop(len(self._tokens))).stop_at is not None
        full = len(self._tokens) >= self._parameters.max_tokens
        # Made while the model runs, a mask that leaves the end alone has it drawn; only at the limit it must be known before.
        if stopped or ((full or not self._fills_later()) and self._only_the_end_is_legal()):
            self._finish = "stop"
        elif full:
            self._finish = "length"
        else:
            self._jump_ahead()

    def _jump_ahead(self) -> None:
        """Add what the constraint forces. Tokens that the model has not seen may be replaced by others of the same text."""
        if self._jump is None or self._matcher is None:
            return
        if self._detokeniser.has_stops and self._detokeniser.would_stop(self._matcher.forced_text()):
            return
        room = self._parameters.max_tokens - len(self._tokens)
        found = self._jump.jump(self._matcher, self._pending, most_tokens=room)
        if found is None:
            return
        kept = len(self._tokens) - found.drop
        for token, times in (*((token, -1) for token in self._tokens[kept:]), *((token, 1) for token in found.tokens)):
            self._sampler.count(token, times)
        self._tokens[kept:] = found.tokens
        if self._details is not None:
            self._details.forced(kept, found.tokens)
        self._pending[len(self._pending) - found.drop :] = found.tokens
        self._detokeniser.add_text(found.text)
        self._bitmask = None
        full = len(self._tokens) >= self._parameters.max_tokens
        if (full or not self._fills_later()) and self._only_the_end_is_legal():
            self._finish = "stop"
        elif full:
            self._finish = "length"

    def _draw(self, logits: Tensor) -> Draw:
        """A token that the constraint accepts; the matcher is advanced by it."""
        position = len(self._tokens)
        early = None if self._together is None else self._together.drawn
        if early is None:
            draw = self._sampler.draw(logits, self._mask(), position)
        else:
            draw = checked(early, self._sampler.row(self._mask(), position))
        if self._matcher is None or self._bitmask is None:
            return draw
        refusals = 0
        while True:
            if self._soft is not None and not has_bit(self._bitmask, draw.token):
                self._matcher = None  # it has no state after an illegal token
                self._soft.leave(position, mask_empty=not self._bitmask.any())
                return draw
            if not self._stops_too_early(draw.token):
                try:
                    self._matcher.accept(draw.token)
                    return draw
                except GrammarRefusedError:
                    refusals += 1
            clear_bit(self._bitmask, draw.token)
            if refusals == _REFUSALS_BEFORE_REFINING:
                with suppress(*(() if self._soft is None else (MaskEmptyError,))):
                    self._matcher.refine(self._bitmask)
            draw = self._sampler.draw(logits, self._bitmask, position)

    def _mask(self) -> Tensor | None:
        """The legal next tokens; None where all are, or none is any more under soft energy.

        Raises:
            MaskEmptyError: a hard constraint leaves none.
        """
        if self._matcher is not None and self._bitmask is None:
            try:
                self._bitmask = self._fill()
            except MaskEmptyError:
                if self._soft is None:
                    raise
                self._matcher = None
                self._soft.leave(len(self._tokens), mask_empty=True)
        return self._bitmask

    def _fill(self) -> Tensor:
        bitmask = torch.zeros((self._model.vocab_size + 31) // 32, dtype=torch.int32)
        if self._matcher is not None:
            self._matcher.fill_mask(bitmask)
        return bitmask

    def _stops_too_early(self, token: int) -> bool:
        """Whether the token ends the output, by itself or by a stop string, and the text does not satisfy the constraint."""
        if self._constraint is None or self._soft is not None:
            return False
        if token not in self._ends and not self._may_stop(len(self._tokens) + 1):
            return False
        return stops_too_early(self._constraint, self._detokeniser, token, own_ends=self._own_ends, ends=self._ends)

    def _may_stop(self, length: int) -> bool:
        """Whether a stop string may end an output of so many tokens."""
        return length > self._parameters.min_tokens

    def _only_the_end_is_legal(self) -> bool:
        """Prepares the next mask. An end that is forced needs no model step; soft energy forces none."""
        if self._matcher is None or self._soft is not None:
            return False
        try:
            self._bitmask = self._fill()
        except MaskEmptyError:
            return False  # the next step raises it again; this one's token stands
        end = self._model.eos_token_id
        if not only_end_is_legal(self._bitmask, end):
            return False
        self._matcher.accept(end)
        return True


def attempt_seed(seed: int, attempt: int) -> int:
    """The seed of a further attempt: SHA-256 of seed and attempt, 63 bits; attempt 0 keeps the seed."""
    if attempt == 0:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}:{attempt}".encode()).digest()[:8], "little") >> 1


def stream(
    model: TokenModel,
    prompt_tokens: Sequence[int],
    parameters: SamplingParameters,
    constraint: CompiledConstraint | None = None,
) -> Generator[Step, None, Generation]:
    """Yield the steps of one output and return it.

    Raises:
        ConstraintViolatedError: after the last step, when the validator refuses the finished text (possible only where
            `constraint.exact` is False; `generate` would have tried again).
    """
    decoding = Decoding(model, prompt_tokens, parameters, constraint)
    while (step := decoding.step()) is not None:
        yield step
    generation = decoding.result()
    if not generation.may_be_returned:
        raise _violated(generation, 1)
    return generation


def generate(
    model: TokenModel,
    prompt_tokens: Sequence[int],
    parameters: SamplingParameters,
    constraint: CompiledConstraint | None = None,
    *,
    attempts: int = DEFAULT_ATTEMPTS,
) -> Generation:
    """Decode an output; under a constraint, again with a derived seed while it is invalid or runs into a dead end.

    `Generation.attempts` counts. At temperature 0 a second attempt would be the same, so there is none; nor is there one under
    soft energy, whose outputs are returned as they are.

    Raises:
        ConstraintViolatedError: every attempt was finished and invalid.
        MaskEmptyError: the last attempt ran into a dead end.
    """
    attempts = 1 if parameters.is_greedy or parameters.energy_scale is not None else attempts
    for attempt in range(1, attempts + 1):
        tried = replace(parameters, seed=attempt_seed(parameters.seed, attempt - 1))
        decoding = Decoding(model, prompt_tokens, tried, constraint)
        try:
            while decoding.step() is not None:
                pass
        except MaskEmptyError:
            if attempt == attempts:
                raise
            continue
        generation = decoding.result()
        if generation.may_be_returned:
            return replace(generation, attempts=attempt)
    raise _violated(generation, attempts)


def _violated(generation: Generation, attempts: int) -> ConstraintViolatedError:
    report = generation.constraint
    kind, declared = (report.kind, ", ".join(report.declared)) if report is not None else ("", "")
    return ConstraintViolatedError(
        f"expected an output that satisfies its {kind}, got {attempts} that the validator refuses; the mask does not "
        f"enforce {declared or 'all of it'}: simplify that, or lower the temperature"
    )
