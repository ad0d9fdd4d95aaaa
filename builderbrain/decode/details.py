"""The details of one output's tokens, kept in step with them: drawn ones have a distribution behind them, forced ones none."""

from __future__ import annotations

from collections.abc import Sequence

from builderbrain.decode.base import TokenDetails
from builderbrain.decode.model import TellsInfluence, TokenState
from builderbrain.decode.sampler import Draw


class DetailsLog:
    """Mutable; used by one `Decoding`. Its entries are those of the output's tokens at every time."""

    def __init__(self) -> None:
        self._entries: list[TokenDetails] = []
        self._told = 0
        self._source: TellsInfluence | None = None

    def watch(self, state: TokenState) -> None:
        """The state that tokens will be drawn from, before it gives any logits."""
        if isinstance(state, TellsInfluence):
            state.watch()
            self._source = state

    def drawn(self, draw: Draw) -> None:
        """A token was drawn from the state's logits and kept."""
        self._entries.append(
            TokenDetails(
                token=draw.token,
                grammar_energy=max(0.0, -draw.allowed_log_mass),
                influence=None if self._source is None else self._source.influence,
            )
        )

    def forced(self, kept: int, tokens: Sequence[int]) -> None:
        """The tokens after the first `kept` were replaced by `tokens`, which the constraint forces."""
        self._entries[kept:] = [TokenDetails(token=token, forced=True) for token in tokens]

    def news(self) -> tuple[TokenDetails, ...]:
        """Entries since the last call; what they say does not change any more once a step has ended."""
        found = tuple(self._entries[self._told :])
        self._told = len(self._entries)
        return found

    def all(self) -> tuple[TokenDetails, ...]:
        """Every token's."""
        return tuple(self._entries)
