"""Which way a state has to move for the base to say a token.

Along the token's own row of the head, another token often gains more: rows of rare tokens are long, and rows share directions.
Of the 2,048 rows of the bundled base 1,590 do not win along themselves, and 254 do not when the mean of the rows is taken off.
Along their duals all do. With e_k = J^T row_k what is left of a row before the final norm, which scales channels and may take
off their mean (J = diag(w) or diag(w) (I - 11^T / d)), and C the covariance of the e_k:

    direction(k) = C^(-1) (e_k - mean of e)

A row compared with such a direction is compared in Mahalanobis' sense (1936): what many rows have in common counts little.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from builderbrain.hosts.row_products import RowProduct, are_rows_apart

_MAX_ROWS = 16_384
"""Rows that the covariance is taken over, evenly spread over the vocabulary."""
_RIDGE = 1e-3
"""Added to the covariance in units of its mean diagonal, so that it can be inverted."""
_MOST_KEPT = 1 << 24
"""Values of a table of all directions that is kept; a larger vocabulary's are computed as they are asked for."""
_NOWHERE = 1e-6
"""Variance, in the same units, below which rows do not differ in a direction."""


class TokenDirections:
    """Directions of the rows of a head `weight` [V, d] before a final norm; computed once, float32 inside."""

    def __init__(self, weight: Tensor, final_norm: Callable[[Tensor], Tensor]) -> None:
        before_norm = _transposed_norm(final_norm, weight)
        rows = before_norm(weight[:: -(-weight.shape[0] // _MAX_ROWS)].float())
        self._weight, self._mean, self._before_norm = weight, rows.mean(0), before_norm
        centred = rows - self._mean
        covariance = centred.T @ centred / len(rows)
        size = covariance.diagonal().mean()
        values, vectors = torch.linalg.eigh(covariance)
        # Where no row goes (along 1 when a norm takes the mean off) an inverse would only magnify rounding.
        shares = (values > _NOWHERE * size) / (values + _RIDGE * size)
        self._dual = RowProduct(((vectors * shares) @ vectors.T).T)

        self._table: Tensor | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        """float32 [..., d] for tokens int64 [...]."""
        if self._table is not None and are_rows_apart():
            return self._table[tokens]
        return self._computed(tokens)

    @property
    def prepared(self) -> dict[str, Tensor]:
        """What was made of the head, by names of their own."""
        table = {} if self._table is None else {"table": self._table}
        return {"mean": self._mean, **self._dual.prepared, **table}

    def keep_all(self) -> None:
        """Compute those of a small vocabulary once and for all, each as it would be computed alone."""
        if self._weight.numel() <= _MOST_KEPT:
            self._table = self._computed(torch.arange(len(self._weight), device=self._weight.device))

    def _computed(self, tokens: Tensor) -> Tensor:
        return self._dual(self._before_norm(self._weight[tokens].float()) - self._mean)


def _transposed_norm(final_norm: Callable[[Tensor], Tensor], like: Tensor) -> Callable[[Tensor], Tensor]:
    """J^T of a norm [d] -> [d] at states of length 1 per channel, read off states of one sign and of alternating signs."""
    width = like.shape[1]

    def odd_part(x: Tensor) -> Tensor:
        return (final_norm(x.to(like.dtype)).float() - final_norm(-x.to(like.dtype)).float()) / 2

    signs = 1.0 - 2.0 * (torch.arange(width, device=like.device) % 2)
    with torch.no_grad():
        scale = odd_part(signs) * signs
        takes_mean_off = bool((odd_part(torch.ones_like(signs)).abs().max() < 0.01 * scale.abs().max()).item())

    def transposed(rows: Tensor) -> Tensor:
        scaled = rows * scale
        return scaled - scaled.mean(-1, keepdim=True) if takes_mean_off else scaled

    return transposed
