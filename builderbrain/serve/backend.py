"""What the server needs of a model, so that it can be tested with any: `Backend` and the outputs it begins.

The engine's worker is the only thread that calls `begin`, `score` and the methods of an `Output`; the rest of a backend
is immutable or guards itself, because request handlers read it from the event loop and from helper threads.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol

from builderbrain.decode.base import Generation, SamplingParameters, Step, TokenLogprob
from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.grammar.base import CompiledConstraint, MaskEngine
from builderbrain.hosts.base import Tokenizer

if TYPE_CHECKING:
    from builderbrain.serve.label_scores import LabelScores


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One name a request may put in `model`. `root` is the base it stands on, `version` the weights that answer now."""

    name: str
    root: str
    version: str


class Waiting(Enum):
    """What takes the place of an answer that is not there yet."""

    WAITING = "waiting"


WAITING: Final = Waiting.WAITING


class Output(Protocol):
    """One output while it is decoded. Mutable; advanced by one thread."""

    def ready(self) -> bool:
        """Whether `step` can be taken. Until then the model has to run, which it does for all outputs at once."""
        ...

    def close(self) -> None:
        """Give back what the output holds, whether it was finished or not."""
        ...

    def step(self) -> Step | None:
        """Sample one token. None once the output is finished.

        Raises:
            MaskEmptyError: the constraint leaves no token.
        """
        ...

    def result(self) -> Generation:
        """The finished output; only after `step` returned None."""
        ...


class Search(Protocol):
    """A beam search while it runs. Mutable; advanced by one thread."""

    def ready(self) -> bool:
        """Whether `step` can be taken. Until then the model has to run, which it does for all outputs at once."""
        ...

    def close(self) -> None:
        """Give back what the search holds, whether it was finished or not."""
        ...

    def step(self) -> bool:
        """Extend every hypothesis by a token. False once the search is finished.

        Raises:
            MaskEmptyError: every hypothesis ran into a dead end.
            ConstraintViolatedError: the validator refused all that was finished.
        """
        ...

    def results(self) -> tuple[Generation, ...]:
        """The texts that were found, best first; only after `step` returned False."""
        ...


class Backend(Protocol):
    """A base with the models that stand on it, and one tokenizer and mask engine for them all."""

    tokenizer: Tokenizer
    mask_engine: MaskEngine
    vocab_size: int
    max_length: int
    """Tokens of prompt and output together."""
    special_tokens: dict[str, int]
    """Ids of the tokenizer's special tokens by their text, for chat templates."""
    prefix: tuple[int, ...]
    """Ids the base wants before any text (its begin-of-sequence token, if it was trained with one)."""
    description: str
    """What distinguishes this base and its numerics (name, dtype, quantization), for `system_fingerprint`."""

    def models(self) -> tuple[ServedModel, ...]:
        """The models served now; the first is the default."""
        ...

    def begin(
        self,
        model: str,
        prompt: Sequence[int],
        parameters: SamplingParameters,
        constraint: CompiledConstraint | None,
        stop_tokens: frozenset[int],
    ) -> Output:
        """Start an output. It keeps the weights that are live now, whatever is promoted before it ends.

        Args:
            model: a name of `models()`.
            prompt: token ids, at least one.
            stop_tokens: ids that end the output beside the end-of-sequence token; not part of the text.
        """
        ...

    def search(
        self,
        model: str,
        prompt: Sequence[int],
        parameters: SamplingParameters,
        beams: BeamParameters,
        constraint: CompiledConstraint | None,
        stop_tokens: frozenset[int],
    ) -> Search:
        """Start a beam search; see `begin`. `parameters` say how long and where it ends; it draws nothing."""
        ...

    def score(self, model: str, tokens: Sequence[int], alternatives: int) -> Iterator[TokenLogprob | Waiting | None]:
        """Log-probability of each token after those before it, one at a time; None for the first, which nothing precedes.

        `WAITING` in between: the model has to run before the next one is known.
        """
        ...

    def score_labels(
        self, model: str, prompt: Sequence[int], labels: Sequence[Sequence[int]], ends: frozenset[int]
    ) -> Generator[Waiting, None, LabelScores]:
        """Log-probabilities of whole answers to a prompt, see `label_scores.score_labels`."""
        ...
