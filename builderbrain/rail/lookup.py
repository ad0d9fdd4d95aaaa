"""Rows of a sequence by their place, with a gradient that is the same to the bit however many threads add it up."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def rows_at(values: Tensor, places: Tensor) -> Tensor:
    """`values[b, places[b, t, n]]` for every b, t, n.

    Where places repeat, the gradient of advanced indexing is summed by atomic additions in whatever order the threads of a CPU
    come to them; that of an embedding in the order of the places.

    Args:
        values: [B, P, W], of any floating dtype.
        places: int64 [B, T, N], in 0..P-1.

    Returns: [B, T, N, W], of the dtype of `values`.
    """
    batch, length, width = values.shape
    first = length * torch.arange(batch, device=places.device)[:, None, None]
    return F.embedding(places + first, values.reshape(batch * length, width))
