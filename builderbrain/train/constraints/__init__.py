"""Constraints of training: each a reading that should stay at or under its target. One file each."""

from builderbrain.train.constraints.build import Build
from builderbrain.train.constraints.calibration import Calibration
from builderbrain.train.constraints.cfs_energy import CFSEnergy
from builderbrain.train.constraints.g2g import GraphToGraph
from builderbrain.train.constraints.invariance import Invariance
from builderbrain.train.constraints.kl_budget import KLBudget
from builderbrain.train.constraints.param_l1 import ParameterGrowth
from builderbrain.train.constraints.reuse import Reuse
from builderbrain.train.constraints.signals import Constraint, GoalSignals, Signals

__all__ = [
    "Build",
    "CFSEnergy",
    "Calibration",
    "Constraint",
    "GoalSignals",
    "GraphToGraph",
    "Invariance",
    "KLBudget",
    "ParameterGrowth",
    "Reuse",
    "Signals",
]
