"""The linear part of a chain head, fitted to the training rows in closed form: ridge regression (Hoerl and Kennard 1970).

    W = argmin |X W - Y|^2 + r |W|^2 = X' (X X' + r 1)^-1 Y = (X' X + r 1)^-1 X' Y

X has a row of features for each request, Y a 1 where its plan has the tool. Nothing of it is random.
"""

from __future__ import annotations

import torch
from torch import Tensor

from builderbrain.rail.chain_head import ChainHead
from builderbrain.rail.letters import spell
from builderbrain.rail.linear_tools import phrase_counts
from builderbrain.train.tool_graph.chain_batch import ChainBatch

RIDGE = 0.3


@torch.no_grad()
def fit_linear(head: ChainHead, batches: list[ChainBatch]) -> None:
    """Fill the linear part of a head that has one."""
    linear = head.linear
    if linear is None:
        return
    spelled = [spell(batch.tokens, batch.lengths, head.letters) for batch in batches]
    slots = len(linear.inverse)
    having = torch.stack([(phrase_counts(one, slots) > 0).sum(0) for one in spelled]).sum(0)
    rows = sum(len(batch.tokens) for batch in batches)
    linear.inverse.copy_(torch.log((1 + rows) / (1 + having)))
    x = torch.cat([linear.features(one) for one in spelled])
    linear.weights.copy_(ridge_weights(x, torch.cat([batch.asked[:, 1:] for batch in batches]), RIDGE))


def ridge_weights(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    """W for features float32 [N, F] and targets [N, T]; solved in float64, in the smaller of the two forms."""
    rows, features = x.shape
    if rows <= features:
        solved = _solve(x @ x.T, y, ridge)
        return x.T @ solved
    return _solve(x.T @ x, x.T @ y, ridge)


def _solve(square: Tensor, right: Tensor, ridge: float) -> Tensor:
    lower = torch.linalg.cholesky(square.double() + ridge * torch.eye(len(square), dtype=torch.float64, device=square.device))
    return torch.cholesky_solve(right.double(), lower).to(right.dtype)
