"""Where an output may not end, where it must, and what is said of it when it has: shared by sampling and by beams."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from torch import Tensor

from builderbrain.decode.base import FinishReason
from builderbrain.decode.detokenise import Detokeniser
from builderbrain.grammar.base import CompiledConstraint, ConstraintReport


def clear_bit(bitmask: Tensor, token: int) -> None:
    """Make a token illegal in a mask, int32 [ceil(V / 32)]."""
    words = bitmask.numpy()
    words[token // 32] &= ~np.uint32(1 << (token % 32)).view(np.int32)


def only_end_is_legal(bitmask: Tensor, end: int) -> bool:
    """Whether the token `end` is the only one of a mask, int32 [ceil(V / 32)]."""
    words = bitmask.numpy()
    return np.count_nonzero(words) == 1 and bool(words[end // 32] == np.uint32(1 << (end % 32)).view(np.int32))


def stops_too_early(constraint: CompiledConstraint, detokeniser: Detokeniser, token: int, ends: Set[int]) -> bool:
    """Whether a token completes a stop string before which the text does not satisfy the constraint."""
    if token in ends:
        return False
    piece = detokeniser.peek(token)
    if piece.stop_at is None:
        return False
    return constraint.validate((detokeniser.text + piece.text)[: piece.stop_at]) is not None


def report(constraint: CompiledConstraint | None, text: str, finish: FinishReason) -> ConstraintReport | None:
    """What was enforced on an output that ended so; None without a constraint."""
    if constraint is None:
        return None
    return ConstraintReport(
        kind=constraint.constraint.kind,
        engine=constraint.engine,
        exact=constraint.exact,
        valid=None if finish == "length" else constraint.validate(text) is None,
        declared=constraint.declared,
    )
