"""Repair of refused plans: arguments completed, edges mended, skills replaced by equivalents, optional branches dropped.

A repaired plan asks for nothing that the plan did not ask for (`bounds.py` says what that means and is asked about every
change), and the checker alone accepts it.
"""

from __future__ import annotations

from builderbrain.plan.repair.complete import ArgumentRequest, KnownValue, WriteArgument
from builderbrain.plan.repair.loop import MAX_ROUNDS, MAX_TRIED, repair
from builderbrain.plan.repair.record import Repair, Tried

__all__ = ["MAX_ROUNDS", "MAX_TRIED", "ArgumentRequest", "KnownValue", "Repair", "Tried", "WriteArgument", "repair"]
