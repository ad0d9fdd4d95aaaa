"""What decoding needs of a model: next-token logits, one token at a time.

Adapters live with what they adapt: `decode.host_model` for a bare host, the rail's package for host and rail together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from builderbrain.decode.sampler import Draw, Row
from builderbrain.hosts.base import Tokenizer

FillMask = Callable[[], Tensor | None]
"""Makes the mask of an output's next token; raises MaskEmptyError where none is legal."""


class TokenState(Protocol):
    """One sequence in progress; owns its caches. Used by one request."""

    @property
    def ready(self) -> bool:
        """Whether `logits` can be asked for. A model that runs many sequences at once takes its time after `append`."""
        ...

    @property
    def reused(self) -> int:
        """Tokens of the prompt that did not have to be run, because an earlier text had begun with them."""
        ...

    def logits(self) -> Tensor:
        """Logits [V] of the next token, floating, on any device. Valid until the next `append`."""
        ...

    def append(self, token: int) -> None:
        """Extend the sequence by one token."""
        ...

    def close(self) -> None:
        """Give back what the sequence holds. It is not used any more."""
        ...


@runtime_checkable
class DrawsTogether(Protocol):
    """A `TokenState` whose model draws for many outputs at once, in the pass that makes their logits."""

    @property
    def drawn(self) -> Draw | None:
        """What was drawn with the row that was asked for, None where none was; `ready` states only."""
        ...

    @property
    def fills_masks(self) -> bool:
        """Whether masks are better made while the model runs: `ask` then takes what makes one, and another thread calls it."""
        ...

    def ask(self, row: Row, fill: FillMask | None = None) -> None:
        """Say what the next token will be drawn with; `fill` makes the row's mask. Forgotten with the next `append`.

        Where `fill` raises, nothing is drawn.
        """
        ...


class TokenModel(Protocol):
    """A model that continues token sequences. Shared by requests; its weights do not change while it is in use."""

    tokenizer: Tokenizer
    eos_token_id: int
    vocab_size: int
    """Width V of the logits."""
    max_length: int
    """Longest context, prompt and output together, in tokens."""
    weight_version: str
    """Names the weights that made an output, for its provenance."""

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        """A state after the prompt, which holds at least one token."""
        ...
