"""Logistic regression with some weights held at or above zero, and how good a probability is. Deterministic, float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class LogisticFit:
    """`weights` [F] and `bias` of P(y = 1 | x) = sigmoid(weights . x + bias)."""

    weights: np.ndarray
    bias: float


def sigmoid(scores: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-s)), without overflow."""
    result: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * scores))
    return result


def fit_logistic(
    design: np.ndarray, labels: np.ndarray, *, non_negative: np.ndarray, penalty: float, steps: int = 2000
) -> LogisticFit:
    """Minimise mean log loss + penalty / 2 |weights|^2 subject to weights[non_negative] >= 0.

    Projected gradient with Nesterov's momentum, restarted when it points uphill (O'Donoghue and Candes, 2012); the problem
    is convex, so the result is the optimum up to the tolerance. No random number is drawn.

    Args:
        design: float64 [N, F].
        labels: 0 or 1, [N].
        non_negative: bool [F].
    """
    n, width = design.shape
    extended = np.concatenate([design, np.ones((n, 1))], axis=1)
    decay = np.append(np.full(width, penalty), 0.0)
    floor = np.append(np.where(non_negative, 0.0, -np.inf), -np.inf)
    step = 1.0 / (0.25 * np.linalg.norm(extended, 2) ** 2 / n + penalty)
    point = np.zeros(width + 1)
    ahead, momentum = point, 1.0
    for _ in range(steps):
        gradient = extended.T @ (sigmoid(extended @ ahead) - labels) / n + decay * ahead
        moved = np.maximum(ahead - step * gradient, floor)
        if (ahead - moved) @ (moved - point) > 0:
            momentum = 1.0
        following = (1.0 + np.sqrt(1.0 + 4.0 * momentum * momentum)) / 2.0
        ahead = moved + (momentum - 1.0) / following * (moved - point)
        change = float(np.abs(moved - point).max())
        point, momentum = moved, following
        if change < 1e-7:
            break
    return LogisticFit(weights=point[:-1], bias=float(point[-1]))


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """AUROC: the chance that a random 1 scores above a random 0, ties counting half (Mann-Whitney)."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    first = np.searchsorted(ordered, ordered, side="left")
    last = np.searchsorted(ordered, ordered, side="right")
    ranks = np.empty(len(scores))
    ranks[order] = (first + last + 1) / 2.0
    ones = int(labels.sum())
    zeros = len(labels) - ones
    return float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean |predicted - observed| over bins of equal width, weighted by their counts."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = [abs(float((probabilities[index == b] - labels[index == b]).sum())) for b in range(bins)]
    return sum(gaps) / len(labels)
