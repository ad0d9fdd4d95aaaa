"""Cross-entropy, divergence from the base and grammar energy of every token in one pass."""

from bbkernels.governed_loss.op import governed_loss
from bbkernels.governed_loss.reference import GovernedLoss, OutputHead

__all__ = ["GovernedLoss", "OutputHead", "governed_loss"]
