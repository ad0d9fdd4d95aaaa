"""The constraints that a run is governed by, each with its multiplier."""

from __future__ import annotations

from builderbrain.errors import ConfigError
from builderbrain.rail.rail import BuilderRail
from builderbrain.train.constraint_sections import ConstraintsSection
from builderbrain.train.constraints import (
    Build,
    Calibration,
    CFSEnergy,
    Constraint,
    GraphToGraph,
    Invariance,
    KLBudget,
    ParameterGrowth,
    Reuse,
)
from builderbrain.train.duals import Dual, DualConfig


def build_constraints(section: ConstraintsSection, rail: BuilderRail) -> list[tuple[Constraint, Dual]]:
    """Those that are on, in the order of the section, for a rail on its device and as it is at the start of the run.

    Raises:
        ConfigError: `g2g` is on and the rail has no plan head.
    """
    if section.g2g.enabled and rail.plan is None:
        raise ConfigError(
            "expected a rail with a plan head while constraints.g2g is on, got one without; set rail.plan_nodes=16, or start "
            "from a rail that has one",
            field="constraints.g2g.enabled",
        )
    config, device = rail.config, rail.enter.weight.device
    every: list[tuple[Constraint, DualConfig]] = [
        (CFSEnergy(section.cfs_energy.tolerance), section.cfs_energy),
        (KLBudget(), section.kl_budget),
        (GraphToGraph(), section.g2g),
        (Build(config.width, device), section.build),
        (Reuse(config.num_skills, section.reuse.skills), section.reuse),
        (Calibration(lag=section.calibration.lag, buffer=section.calibration.buffer), section.calibration),
        (Invariance(), section.invariance),
    ]
    if section.param_l1.enabled:  # it copies the rail
        every.append((ParameterGrowth(rail), section.param_l1))
    return [(constraint, Dual(dual)) for constraint, dual in every if dual.enabled]
