"""Muon (Jordan et al. 2024): momentum whose matrices are orthogonalised by Newton-Schulz iterations before they are applied.

    M <- beta M + (1 - beta) G
    U  = (1 - beta) G + beta M                                  Nesterov
    X <- a X + (b (X X^T) + c (X X^T)^2) X,   X_0 = U / ||U||_F,   `ITERATIONS` times
    W <- (1 - eta lambda) W - eta sqrt(max(1, rows / columns)) X

The same update as `torch.optim.Muon`, which iterates in bfloat16 whatever the device: on a CPU without bfloat16 units that
takes ten times as long as float32 (LOG.md). Here the type follows the device, and matrices of one shape are iterated together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor
from torch.nn import Parameter

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""a, b, c: steep at zero, so that five iterations bring singular values of any size to about 1 (0.7 to 1.2)."""
_EPSILON = 1e-7


class Muon(torch.optim.Optimizer):
    """Optimiser of matrices alone; vectors, embeddings and heads want AdamW.

    Args:
        parameters: matrices [rows, columns].
        lr: eta.
        momentum: beta.
        weight_decay: lambda, decoupled.

    Raises:
        ValueError: a parameter is no matrix.
    """

    def __init__(
        self, parameters: Iterable[Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise ValueError(f"expected matrices for Muon, got a parameter of shape {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            alike: defaultdict[torch.Size, list[Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for (rows, columns), parameters in alike.items():
                updates = orthogonalize(torch.stack([self._momentum(each, group["momentum"]) for each in parameters]))
                scale = group["lr"] * max(1.0, rows / columns) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"]).add_(update, alpha=-scale)

    def _momentum(self, parameter: Parameter, beta: float) -> Tensor:
        gradient, state = cast(Tensor, parameter.grad), self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        momentum: Tensor = state["momentum"].lerp_(gradient, 1.0 - beta)
        return gradient.lerp(momentum, beta)


def orthogonalize(matrices: Tensor) -> Tensor:
    """[N, rows, columns] to nearly orthogonal matrices with the same singular vectors; zero stays zero."""
    dtype = torch.bfloat16 if matrices.is_cuda else torch.float32
    x = matrices.to(dtype)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=_EPSILON)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrices.dtype)
