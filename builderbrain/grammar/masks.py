"""Masks along a known output, for training: the grammar energy of a target needs the legal set before each token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from builderbrain.errors import GrammarRefusedError
from builderbrain.grammar.base import CompiledConstraint


def masks_along(compiled: CompiledConstraint, tokens: Sequence[int], vocab_size: int) -> Tensor:
    """Legal next tokens before each token of an output that starts at the constraint's start.

    Args:
        tokens: T ids; the end-of-sequence token may come last.

    Returns:
        int32 [T, ceil(V / 32)]; row t is the mask before `tokens[t]`.

    Raises:
        GrammarRefusedError: a token is illegal where it stands; the message has its index.
        MaskEmptyError: no token is legal at some position.
    """
    masks = torch.zeros(len(tokens), (vocab_size + 31) // 32, dtype=torch.int32)
    matcher = compiled.matcher()
    for index, token in enumerate(tokens):
        matcher.fill_mask(masks[index])
        try:
            matcher.accept(token)
        except GrammarRefusedError as error:
            raise GrammarRefusedError(
                f"expected an output of the constraint, but token {token} at index {index} is illegal there; "
                "check the tokenisation and the text",
                field="tokens",
            ) from error
    return masks
