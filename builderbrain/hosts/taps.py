"""Which base layers the rail reads.

Eight taps spread evenly are the default; a shallow base is tapped at every layer. The last tap is always the last
layer, since the base's own logits are computed from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from builderbrain.errors import TapError

DEFAULT_TAP_COUNT = 8


def default_tap_points(num_layers: int, count: int = DEFAULT_TAP_COUNT) -> tuple[int, ...]:
    """`min(count, num_layers)` zero-based layer indices, ascending, evenly spread, the last one `num_layers - 1`."""
    taps = min(count, num_layers)
    return tuple((index + 1) * num_layers // taps - 1 for index in range(taps))


def check_tap_points(tap_points: Sequence[int], num_layers: int) -> tuple[int, ...]:
    """The taps as a tuple.

    Raises:
        TapError: none is given, one is not a layer of the base, they do not ascend, or the last layer is not tapped.
    """
    taps = tuple(tap_points)
    if not taps:
        raise TapError(_message("at least one tap", "none", num_layers), field="tap_points")
    for tap in taps:
        if isinstance(tap, bool) or not isinstance(tap, int) or not 0 <= tap < num_layers:
            raise TapError(_message(f"layer indices 0..{num_layers - 1}", repr(tap), num_layers), field="tap_points")
    if any(later <= earlier for earlier, later in pairwise(taps)):
        raise TapError(_message("ascending indices without repeats", repr(list(taps)), num_layers), field="tap_points")
    if taps[-1] != num_layers - 1:
        raise TapError(
            _message(f"the last tap on the last layer ({num_layers - 1})", repr(taps[-1]), num_layers), field="tap_points"
        )
    return taps


def _message(expected: str, got: str, num_layers: int) -> str:
    suggestion = list(default_tap_points(num_layers))
    return f"tap_points: expected {expected}, got {got}; leave tap_points out to use {suggestion}"
