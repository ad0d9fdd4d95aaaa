"""Values in a text that is still being put together stand between private-use characters that name their slot."""

from __future__ import annotations

from collections.abc import Sequence

FIRST = "\ue000"
_FIRST = ord(FIRST)


def mark(value: str, slot: int) -> str:
    """The value between the marks of the slot with this number."""
    return chr(_FIRST + 2 * slot) + value + chr(_FIRST + 2 * slot + 1)


def strip_marks(text: str, slots: Sequence[str]) -> tuple[str, dict[str, tuple[int, int] | None]]:
    """The text without marks, and the half-open range of the first value of each slot, None for a slot without one."""
    plain = ""
    starts: dict[int, int] = {}
    spans: dict[str, tuple[int, int] | None] = dict.fromkeys(slots)
    for character in text:
        slot, closing = divmod(ord(character) - _FIRST, 2)
        if not 0 <= slot < len(slots):
            plain += character
        elif not closing:
            starts[slot] = len(plain)
        elif spans[slots[slot]] is None:
            spans[slots[slot]] = (starts[slot], len(plain))
    return plain, spans
