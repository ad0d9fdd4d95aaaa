"""Calibration: what the rail's heads are sure of comes true as often as they say.

Items are the decisions of the policy heads (intent, actions): confidence c is the probability of the top option, right or not
by the label. Confidences are corrected by one temperature, c' = sigmoid(logit(c) / T), and judged **prequentially**: T is
fitted by maximum likelihood on a buffer of earlier steps, the latest `lag` of them left out, and each step's items are scored
with the T that stood before them. Nothing is ever scored by what was fitted on it.

    reading = ECE = sum over 15 bins of |B| / n * |accuracy(B) - mean c'(B)|        [probability]

over the latest 1,024 scored items with those of this part. ECE has no useful gradient, so the value is the ECE's and the
gradient is that of a surrogate on this part's items, the kernel calibration error MMCE^2 (Kumar et al. 2018, "Trainable
Calibration Measures for Neural Networks from Kernel Mean Embeddings"), without its diagonal:

    surrogate = sum over i != j of (c'_i - y_i) (c'_j - y_j) exp(-|c'_i - c'_j| / 0.4) / (n (n - 1))

Healthy: at most 0.05, goal 0.03. Smell: good in train, bad under shift. A fit on the items it is judged on would hide a shift;
the lag shows it until the buffer has followed. A constant confidence is calibrated but useless; the task's loss is what rules
it out, since the confidences are the heads' own probabilities.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from builderbrain.errors import CheckpointError
from builderbrain.train.constraints.signals import GoalSignals, Reads, Signals

_BINS = 15
_SCORED = 1024
_EDGE = 1e-4
"""Confidences are kept this far from 0 and 1, where their logit is not finite."""
_KERNEL = 0.4


class Calibration:
    """Prequential ECE. Its memory: fitted-on logits with outcomes by step, the latest scored items, and the temperature."""

    name = "calibration"
    unit = "probability"
    reads: Reads = "rows"

    def __init__(self, *, lag: int, buffer: int) -> None:
        """`buffer` steps are kept, of which the latest `lag` are not fitted on."""
        self.lag = lag
        self.temperature = 1.0
        self._steps: deque[list[list[float]]] = deque(maxlen=buffer)
        self._scored: deque[list[float]] = deque(maxlen=_SCORED)
        self._pending: list[list[float]] = []

    def reading(self, signals: Signals) -> Tensor | None:
        """See the module."""
        logit, right = _items(signals.goals)
        if not len(logit):
            return None
        confidence = torch.sigmoid(logit / self.temperature)
        now = list(zip(confidence.detach().tolist(), right.tolist(), strict=True))
        self._pending += [[z, y] for z, y in zip(logit.detach().tolist(), right.tolist(), strict=True)]
        error = expected_calibration_error([*map(tuple, self._scored), *now])
        surrogate = kernel_calibration_error(confidence, right)
        return surrogate - surrogate.detach() + error

    def count(self, signals: Signals) -> int:
        """Decisions that have a label."""
        return sum(int((labels >= 0).sum()) for _, labels in signals.goals.decisions)

    def shown(self) -> Any:
        """Items as (logit, right)."""
        items, self._pending = self._pending, []
        return items

    def see(self, shown: Any) -> None:
        """See `Constraint`."""
        self._pending += shown

    def settle(self, *, done: bool) -> None:
        """Take the step's items in, and fit the temperature anew."""
        items, self._pending = self._pending, []
        if not done or not items:
            return
        self._scored.extend([_sigmoid(z / self.temperature), y] for z, y in items)
        self._steps.append(items)
        earlier = [item for step in list(self._steps)[: max(0, len(self._steps) - self.lag)] for item in step]
        if earlier:
            self.temperature = fit_temperature(earlier)

    def extra(self) -> dict[str, float]:
        """The temperature in use."""
        return {"temperature": self.temperature}

    def state(self) -> dict[str, Any]:
        """Buffer, scored items, temperature."""
        return {"temperature": self.temperature, "steps": list(self._steps), "scored": list(self._scored)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Constraint`."""
        try:
            temperature, steps, scored = float(state["temperature"]), list(state["steps"]), list(state["scored"])
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"the state of the calibration lacks {error}", field="constraints") from error
        if not (math.isfinite(temperature) and temperature > 0):
            raise CheckpointError(f"expected a temperature above 0, got {temperature}", field="constraints")
        self.temperature = temperature
        self._steps = deque(steps, maxlen=self._steps.maxlen)
        self._scored = deque(scored, maxlen=_SCORED)


def fit_temperature(items: Sequence[Sequence[float]]) -> float:
    """The T in [0.05, 20] under which `items` (logit, right as 0 or 1) are most likely; the loss is convex in 1 / T."""
    logit, right = torch.tensor(items, dtype=torch.float64).T
    low, high = 0.05, 20.0  # of 1 / T
    for _ in range(40):
        middle = math.sqrt(low * high)
        slope = float(((torch.sigmoid(middle * logit) - right) * logit).sum())
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 1.0 / math.sqrt(low * high)


def expected_calibration_error(items: Sequence[tuple[float, ...]]) -> float:
    """ECE of (confidence, right as 0 or 1) in 15 bins of equal width; NaN where a confidence is."""
    if any(math.isnan(confidence) for confidence, _ in items):
        return math.nan
    gaps = [0.0] * _BINS
    for confidence, right in items:
        gaps[min(int(confidence * _BINS), _BINS - 1)] += confidence - right
    return sum(map(abs, gaps)) / len(items)


def kernel_calibration_error(confidence: Tensor, right: Tensor) -> Tensor:
    """The surrogate of the module; [n] each, 0 for fewer than two items."""
    size = len(confidence)
    residual = confidence - right
    kernel = torch.exp(-(confidence[:, None] - confidence).abs() / _KERNEL)
    pairs = residual[:, None] * residual * kernel
    return (pairs.sum() - pairs.diagonal().sum()) / max(1, size * (size - 1))


def _items(goals: GoalSignals) -> tuple[Tensor, Tensor]:
    """Logits of the confidences, differentiable, and whether the top option was right; [n] each."""
    logits, rights = [], []
    for scores, labels in goals.decisions:
        known = labels >= 0
        top, option = scores[known].softmax(-1).max(-1)
        logits.append(torch.logit(top, eps=_EDGE))
        rights.append((option == labels[known]).to(top.dtype))
    if not logits:
        return torch.zeros(0), torch.zeros(0)
    return torch.cat(logits), torch.cat(rights)


def _sigmoid(value: float) -> float:
    return 1.0 / (1.0 + math.exp(-value))
