"""Constraints of training: each a reading that should stay at or under its target. One file each."""

from builderbrain.train.constraints.cfs_energy import CFSEnergy
from builderbrain.train.constraints.kl_budget import KLBudget
from builderbrain.train.constraints.signals import Constraint, Signals

__all__ = ["CFSEnergy", "Constraint", "KLBudget", "Signals"]
