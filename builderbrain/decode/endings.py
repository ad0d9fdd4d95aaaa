"""Where an output may not end, where it must, and what is said of it when it has: shared by sampling and by beams."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from torch import Tensor

from builderbrain.decode.base import FinishReason
from builderbrain.decode.detokenise import Detokeniser
from builderbrain.grammar.base import CompiledConstraint, ConstraintReport, Softness


def clear_bit(bitmask: Tensor, token: int) -> None:
    """Make a token illegal in a mask, int32 [ceil(V / 32)]."""
    words = bitmask.numpy()
    words[token // 32] &= ~np.uint32(1 << (token % 32)).view(np.int32)


def only_end_is_legal(bitmask: Tensor, end: int) -> bool:
    """Whether the token `end` is the only one of a mask, int32 [ceil(V / 32)]."""
    words = bitmask.numpy()
    return np.count_nonzero(words) == 1 and bool(words[end // 32] == np.uint32(1 << (end % 32)).view(np.int32))


def has_bit(bitmask: Tensor, token: int) -> bool:
    """Whether a token is legal in a mask, int32 [ceil(V / 32)]."""
    return bool(bitmask.numpy()[token // 32] & np.uint32(1 << (token % 32)).view(np.int32))


def stops_too_early(
    constraint: CompiledConstraint, detokeniser: Detokeniser, token: int, *, own_ends: Set[int], ends: Set[int]
) -> bool:
    """Whether a token ends the output, by itself or by a stop string, and the text does not satisfy the constraint.

    Args:
        own_ends: tokens that the constraint itself allows only behind a valid text.
        ends: these and others that end the output.
    """
    if token in own_ends:
        return False
    if token in ends:
        return constraint.validate(detokeniser.text) is not None
    piece = detokeniser.peek(token)
    if piece.stop_at is None:
        return False
    return constraint.validate((detokeniser.text + piece.text)[: piece.stop_at]) is not None


def report(
    constraint: CompiledConstraint | None, text: str, finish: FinishReason, softness: Softness | None = None
) -> ConstraintReport | None:
    """What was enforced on an output that ended so; None without a constraint."""
    if constraint is None:
        return None
    return ConstraintReport(
        kind=constraint.constraint.kind,
        engine=constraint.engine,
        exact=constraint.exact,
        valid=None if finish == "length" else constraint.validate(text) is None,
        declared=constraint.declared,
        softness=softness,
    )
