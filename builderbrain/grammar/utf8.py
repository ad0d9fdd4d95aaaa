"""A byte automaton of well-formed UTF-8 (Unicode 15, table 3-7): no overlong form, no surrogate, nothing above U+10FFFF.

States are small integers so that a transition table can be applied to a whole vocabulary at once.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

REFUSED = -1
TEXT = 0
"""Between characters."""
UTF8_STATES = 8
"""TEXT and seven states inside a character."""

_ONE_MORE, _TWO_MORE, _THREE_MORE, _AFTER_E0, _AFTER_ED, _AFTER_F0, _AFTER_F4 = range(1, 8)

Table = NDArray[np.int16]


def add_utf8(table: Table, base: int, offset: int) -> None:
    """Write the multi-byte transitions into `table` [states, 256].

    Args:
        base: state between characters.
        offset: added to the inner states 1..7 to find their rows.
    """
    one, two, three, e0, ed, f0, f4 = (offset + state for state in range(1, 8))
    row = table[base]
    row[0xC2:0xE0] = one
    row[0xE0:0xF0] = two
    row[0xE0], row[0xED] = e0, ed
    row[0xF1:0xF4] = three
    row[0xF0], row[0xF4] = f0, f4
    table[one, 0x80:0xC0] = base
    table[two, 0x80:0xC0] = one
    table[three, 0x80:0xC0] = two
    table[e0, 0xA0:0xC0] = one
    table[ed, 0x80:0xA0] = one
    table[f0, 0x90:0xC0] = two
    table[f4, 0x80:0x90] = two


@cache
def utf8_table() -> Table:
    """Transitions [UTF8_STATES, 256] of plain text; REFUSED where a byte cannot follow."""
    table = np.full((UTF8_STATES, 256), REFUSED, dtype=np.int16)
    table[TEXT, :0x80] = TEXT
    add_utf8(table, TEXT, 0)
    return table
