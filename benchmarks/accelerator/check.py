"""Is an output right? Against float64, with the error of PyTorch in the same dtype as the measure of what is fair."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.accelerator.case import Case, Inputs, outputs_of, widened

FLOOR = {torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
"""What rounding alone may cost an output of 1."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Worst error of an operation's outputs and what was allowed, both relative to the largest true value."""

    error: float
    allowed: float

    @property
    def right(self) -> bool:
        """False for NaN as well."""
        return self.error <= self.allowed


def check(case: Case, inputs: Inputs) -> Verdict:
    """Run the case once, with NaN in whatever memory it allocates, and judge what comes out."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)  # fills what torch.empty returns with NaN
    try:
        got = case.run(*inputs)
    finally:
        torch.use_deterministic_algorithms(before)
    if case.judge is not None:
        error, allowed = case.judge(inputs, got)
        return Verdict(error=error, allowed=allowed)
    if case.truth is None:
        raise ValueError(f"{case.operation}, {case.name}: expected `truth` or `judge`, got neither")
    truth, same = outputs_of(case.truth(*widened(inputs))), outputs_of(case.truth(*inputs))
    worst = Verdict(error=0.0, allowed=0.0)
    for mine, reference, exact in zip(outputs_of(got), same, truth, strict=True):
        if not mine.is_floating_point():
            continue
        verdict = _compare(mine, reference, exact)
        if not verdict.right or verdict.error - verdict.allowed > worst.error - worst.allowed or worst.allowed == 0.0:
            worst = verdict
        if not worst.right:
            break
    return worst


def _compare(got: Tensor, reference: Tensor, truth: Tensor) -> Verdict:
    size = max(float(truth.abs().max()), 1e-30)
    error = float((got.double() - truth).abs().max()) / size
    fair = float((reference.double() - truth).abs().max()) / size
    return Verdict(error=error, allowed=2.0 * fair + FLOOR.get(got.dtype, 2e-6))
