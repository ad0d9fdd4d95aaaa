"""Keys of the section `constraints`: switch, target and multiplier of each, and what else it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from builderbrain.config import check_bounds
from builderbrain.train.duals import DualConfig
from builderbrain.train.normalisers import NormaliserName


@dataclass(frozen=True, kw_only=True)
class CFSEnergySection(DualConfig):
    """`tolerance`: energy in nats that is not held against a token."""

    target: float = 0.01
    tolerance: float = 0.01


@dataclass(frozen=True, kw_only=True)
class KLBudgetSection(DualConfig):
    """`target`: divergence from the base on ordinary text in nats per token."""

    target: float = 0.03


@dataclass(frozen=True, kw_only=True)
class GraphSection(DualConfig):
    """`target`: one minus the overlap of predicted and reference call graph, 0 to 1; needs `rail.plan_nodes`."""

    enabled: bool = False
    target: float = 0.1


@dataclass(frozen=True, kw_only=True)
class BuildSection(DualConfig):
    """`target`: squared distance between state and composed skills, 0 to 4."""

    enabled: bool = False
    target: float = 0.5
    normaliser: NormaliserName = "winsorised"


@dataclass(frozen=True, kw_only=True)
class ReuseSection(DualConfig):
    """`target`: nats; `skills`: how many have to be in use, whose logarithm is the least reading there is. One skill for all
    reads twice that."""

    enabled: bool = False
    target: float = 2.0
    normaliser: NormaliserName = "rank"
    skills: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"skills": (2, 4096)})


@dataclass(frozen=True, kw_only=True)
class GrowthSection(DualConfig):
    """`target`: mean absolute move of a parameter since the start."""

    enabled: bool = False
    target: float = 0.02
    normaliser: NormaliserName = "winsorised"


@dataclass(frozen=True, kw_only=True)
class CalibrationSection(DualConfig):
    """`target`: expected calibration error; `buffer`: steps that a temperature is fitted on, the latest `lag` left out."""

    enabled: bool = False
    target: float = 0.05
    normaliser: NormaliserName = "rank"
    lag: int = 2
    buffer: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"lag": (0, 65_536), "buffer": (self.lag + 1, 65_536)})


@dataclass(frozen=True, kw_only=True)
class InvarianceSection(DualConfig):
    """`target`: squared nats per token above the easiest environment."""

    enabled: bool = False
    target: float = 0.05
    normaliser: NormaliserName = "rank"


@dataclass(frozen=True, kw_only=True)
class ConstraintsSection:
    """One section per constraint."""

    cfs_energy: CFSEnergySection = field(default_factory=CFSEnergySection)
    kl_budget: KLBudgetSection = field(default_factory=KLBudgetSection)
    g2g: GraphSection = field(default_factory=GraphSection)
    build: BuildSection = field(default_factory=BuildSection)
    reuse: ReuseSection = field(default_factory=ReuseSection)
    param_l1: GrowthSection = field(default_factory=GrowthSection)
    calibration: CalibrationSection = field(default_factory=CalibrationSection)
    invariance: InvarianceSection = field(default_factory=InvarianceSection)
