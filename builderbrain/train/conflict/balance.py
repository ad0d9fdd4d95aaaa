"""The Gramian of a step's losses at the rail's features, and the weights that follow from it.

Whole gradients of k losses would cost k backward passes. Here each loss is differentiated with respect to one matrix
only: the one whose output is the rail's features, W_down of the last block. Autograd then runs no further back than the
heads, and what it gives is an exact part of the whole gradient. The k x k Gramian of those parts stands for that of the
gradients. (Inner products of the features' own gradients would not do: losses on different tokens, such as the task's on
plans and the KL budget's on ordinary text, have none, and they are the ones that conflict. benchmarks/gradient_conflict.py
compares both with whole gradients.) A loss that does not pass the features (token labels, norms of parameters) has a
gradient of 0 there and keeps its weight.

The parts of a batch are run one after another, and the Gramian is whole only after the last: so the weights of a step are
those of the step before. The first step has weights of 1.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import combinations
from typing import Any, cast

import torch
from torch import Tensor

from builderbrain.errors import CheckpointError
from builderbrain.rail.block import BuilderBlock
from builderbrain.rail.rail import BuilderRail
from builderbrain.train.alarms import Alarm
from builderbrain.train.conflict.cagrad import cagrad_weights
from builderbrain.train.conflict.config import ConflictSection
from builderbrain.train.conflict.pcgrad import pcgrad_weights


class Balance:
    """Call `differentiate` for every part of a step before its backward pass, and `add` what it gave in the order of the parts,
    then `finish`; `weight` says what the step uses."""

    def __init__(self, config: ConflictSection, rail: BuilderRail, *, seed: int) -> None:
        self.config, self.seed = config, seed
        self.measures = config.method != "none"
        self._matrix = cast(BuilderBlock, rail.blocks[-1]).mlp.down.weight
        self._gradients: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}
        self._cosines: deque[dict[str, float]] = deque(maxlen=config.window)

    def weight(self, name: str) -> float:
        """Weight of a loss in this step; 1.0 for one that was not measured."""
        return self._weights.get(name, 1.0)

    def differentiate(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Gradients [n] of a part's losses, scalars whose sums over the parts are the batch's; their graph is kept.

        A constant, the loss of what the part has no labels for, takes no part.
        """
        found: dict[str, Tensor] = {}
        for name, loss in losses.items() if self.measures else ():
            if not loss.requires_grad:
                continue
            (gradient,) = torch.autograd.grad(loss, [self._matrix], retain_graph=True, allow_unused=True)
            if gradient is not None:
                found[name] = gradient.flatten()
        return found

    def add(self, gradients: Mapping[str, Tensor]) -> None:
        """Add those of one part."""
        for name, gradient in gradients.items():
            mine = self._gradients.get(name)
            gradient = gradient.to(self._matrix.device)
            self._gradients[name] = gradient if mine is None else mine + gradient

    def finish(self, scales: Mapping[str, float], step: int) -> dict[str, Any]:
        """Set the weights of the next step; returns what to log: cosines of pairs `a|b`, and the weights of this step.

        Args:
            scales: what each loss is multiplied by in the objective, >= 0; those with 0 take no part.
            step: seeds the order of PCGrad.
        """
        if not self.measures:
            return {}
        log = {"weights": {name: self.weight(name) for name in scales}}
        names = list(self._gradients)
        gradients = torch.stack(list(self._gradients.values())).double().cpu() if names else torch.zeros(0, 1).double()
        self._gradients = {}
        gramian = gradients @ gradients.T
        if not bool(gramian.isfinite().all()):
            return {**log, "cosines": {}}  # the step is dropped
        lengths = gramian.diagonal().sqrt()
        cosines = {
            f"{names[i]}|{names[j]}": float(gramian[i, j] / (lengths[i] * lengths[j]))
            for i, j in combinations(range(len(names)), 2)
            if lengths[i] > 0 and lengths[j] > 0
        }
        self._cosines.append(cosines)
        active = [i for i, name in enumerate(names) if lengths[i] > 0 and scales[name] > 0]
        factors = torch.tensor([scales[names[i]] for i in active], dtype=torch.float64)
        weights = self._solve(gramian[active][:, active] * factors[:, None] * factors, step)
        self._weights = {names[i]: weight for i, weight in zip(active, weights, strict=True)}
        return {**log, "cosines": cosines}

    def alarms(self) -> list[Alarm]:
        """One for each pair whose mean cosine over a whole window is under the threshold."""
        if len(self._cosines) < self.config.window:
            return []
        found = []
        for pair in sorted(set().union(*self._cosines)):
            values = [cosines[pair] for cosines in self._cosines if pair in cosines]
            mean = sum(values) / len(values)
            if 2 * len(values) > self.config.window and mean < -self.config.threshold:
                found.append(
                    Alarm(
                        name="gradient_conflict",
                        subject=pair,
                        message=f"the gradients of {pair.replace('|', ' and ')} had a mean cosine of {mean:.2f} over "
                        f"{len(self._cosines)} steps, threshold {-self.config.threshold}; try conflict.method=cagrad, or a "
                        "head of its own for one of them",
                    )
                )
        return found

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"weights": self._weights, "cosines": list(self._cosines)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over a checkpoint's state.

        Raises:
            CheckpointError: a key is missing.
        """
        try:
            self._weights, cosines = dict(state["weights"]), state["cosines"]
        except KeyError as error:
            raise CheckpointError(f"the state of the gradient balance lacks {error}", field="conflict") from error
        self._cosines = deque(cosines, maxlen=self.config.window)

    def _solve(self, gramian: Tensor, step: int) -> list[float]:
        if self.config.method == "scalarised" or gramian.shape[0] < 2:
            return [1.0] * gramian.shape[0]
        if self.config.method == "cagrad":
            return cagrad_weights(gramian, self.config.radius).tolist()
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return pcgrad_weights(gramian, generator).tolist()
