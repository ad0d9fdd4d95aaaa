"""Soft energy: a constraint that makes what it does not allow less likely, and says how far its output kept to it."""

from __future__ import annotations

from builderbrain.grammar.base import Softness


class SoftEnergy:
    """One output under soft energy. It leaves its constraint once, since no state of a matcher follows an illegal token.

    Args:
        scale: what is taken from the logits of illegal tokens, in nats.
    """

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._illegal_tokens = 0
        self._left_at: int | None = None
        self._mask_empty_at: int | None = None

    def leave(self, position: int, *, mask_empty: bool) -> None:
        """The token at `position` is illegal, where the mask may have held no token at all."""
        self._left_at = position
        self._mask_empty_at = position if mask_empty else None

    def drawn(self) -> None:
        """A token was drawn."""
        self._illegal_tokens += self._left_at is not None

    def report(self) -> Softness:
        """How the output fared so far."""
        return Softness(
            energy_scale=self._scale,
            illegal_tokens=self._illegal_tokens,
            left_at=self._left_at,
            mask_empty_at=self._mask_empty_at,
        )
