"""The `Backend` over token models: a base alone, or a base with rails, behind one tokenizer and one mask engine."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from builderbrain.decode.base import SamplingParameters, TokenLogprob
from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.decode.beams import BeamSearch
from builderbrain.decode.generate import Decoding
from builderbrain.decode.model import TokenModel
from builderbrain.errors import UnknownModelError
from builderbrain.grammar.base import CompiledConstraint, MaskEngine
from builderbrain.grammar.jump import JumpForward
from builderbrain.hosts.base import Tokenizer
from builderbrain.serve.backend import WAITING, Output, Search, ServedModel, Waiting
from builderbrain.serve.label_scores import LabelScores, score_labels


@dataclass(frozen=True, kw_only=True)
class TokenizerFacts:
    """What the server needs of a tokenizer beside encoding: see `Backend.special_tokens` and `Backend.prefix`."""

    special_tokens: dict[str, int]
    prefix: tuple[int, ...]


class ModelBackend:
    """Serves named token models. Models may be replaced while outputs run; an output keeps the one it began with.

    Args:
        models: by the names that requests use, the default first; all over one base.
        root: name of that base.
        mask_engine: for the base's tokenizer.
        facts: of the base's tokenizer.
        description: see `Backend.description`.
        max_length: context in tokens; None takes the base's.
        jump: adds forced text without model steps, where the models run several tokens of an output at once.
    """

    def __init__(
        self,
        models: Mapping[str, TokenModel],
        *,
        root: str,
        mask_engine: MaskEngine,
        facts: TokenizerFacts,
        description: str,
        max_length: int | None = None,
        jump: JumpForward | None = None,
    ) -> None:
        self._models = dict(models)  # changed by assignment alone: readers see the old table or the new one
        self._leaving: dict[str, TokenModel] = {}
        self._root = root
        first = next(iter(self._models.values()))
        self.tokenizer: Tokenizer = first.tokenizer
        self.vocab_size = first.vocab_size
        self.max_length = first.max_length if max_length is None else max_length
        self.mask_engine = mask_engine
        self.special_tokens = facts.special_tokens
        self.prefix = facts.prefix
        self.description = description
        self._jump = jump

    def models(self) -> tuple[ServedModel, ...]:
        """See `Backend.models`."""
        return tuple(
            ServedModel(name=name, root=self._root, version=model.weight_version) for name, model in tuple(self._models.items())
        )

    def token_models(self) -> Mapping[str, TokenModel]:
        """The models behind the names, the default first. Not changed any more."""
        return self._models

    def replace(self, name: str, model: TokenModel) -> None:
        """Let new outputs under `name`, which may be a new name, use another model."""
        self._models = {**self._models, name: model}

    def withdraw(self, name: str) -> TokenModel:
        """Serve a name no longer. Outputs that were accepted may still begin with its model until `forget`.

        Raises:
            UnknownModelError: there is no such name.
        """
        model = self._models.get(name)
        if model is None:
            raise UnknownModelError(f"the model {name!r} is not served here", field="model")
        self._leaving = {**self._leaving, name: model}
        self._models = {other: found for other, found in self._models.items() if other != name}
        return model

    def forget(self, name: str, model: TokenModel) -> None:
        """Nobody that was accepted waits for a withdrawn model any more."""
        if self._leaving.get(name) is model:
            self._leaving = {other: found for other, found in self._leaving.items() if other != name}

    def begin(
        self,
        model: str,
        prompt: Sequence[int],
        parameters: SamplingParameters,
        constraint: CompiledConstraint | None,
        stop_tokens: frozenset[int],
    ) -> Output:
        """See `Backend.begin`."""
        return Decoding(self._model(model), prompt, parameters, constraint=constraint, stop_tokens=stop_tokens, jump=self._jump)

    def search(
        self,
        model: str,
        prompt: Sequence[int],
        parameters: SamplingParameters,
        beams: BeamParameters,
        constraint: CompiledConstraint | None,
        stop_tokens: frozenset[int],
    ) -> Search:
        """See `Backend.search`."""
        return BeamSearch(
            self._model(model), prompt, parameters, beams, constraint=constraint, stop_tokens=stop_tokens, jump=self._jump
        )

    def score(self, model: str, tokens: Sequence[int], alternatives: int) -> Iterator[TokenLogprob | Waiting | None]:
        """See `Backend.score`. Float32 log-softmax over the tokenizer's own ids."""
        state = None
        size = self.tokenizer.vocab_size
        found: TokenLogprob | None = None
        try:
            for token in tokens:
                if state is None:
                    found, state = None, self._model(model).start([token])
                else:
                    while not state.ready:
                        yield WAITING
                    logprobs = torch.log_softmax(state.logits()[:size].float(), dim=-1)
                    values, ids = torch.topk(logprobs, min(alternatives, size))
                    top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
                    found = TokenLogprob(token=token, logprob=float(logprobs[token]), top=top)
                    state.append(token)
                yield found
        finally:
            if state is not None:
                state.close()

    def score_labels(
        self, model: str, prompt: Sequence[int], labels: Sequence[Sequence[int]], ends: frozenset[int]
    ) -> Generator[Waiting, None, LabelScores]:
        """See `Backend.score_labels`."""
        return score_labels(self._model(model), prompt, labels, ends)

    def _model(self, name: str) -> TokenModel:
        model = self._models.get(name) or self._leaving.get(name)
        if model is None:
            raise UnknownModelError(f"the model {name!r} is not served here", field="model")
        return model
