"""Keys of the section `watch`."""

from __future__ import annotations

from dataclasses import dataclass

from builderbrain.config import check_bounds


@dataclass(frozen=True, kw_only=True)
class WatchSection:
    """When the watch over duals, denominators and ease alarms.

    `history`: steps that are remembered; every `every` steps `windows` random stretches of them, a quarter to a half as long,
    are looked at. `correlation`: median correlation of a dual and an ease signal, either sign, that alarms once the
    signal has moved towards ease. `denominator`: share of its highest median that a count may not fall under.
    `at_cap`: steps at its cap without a falling reading after which a dual alarms. `idle_skill`: steps without a token after
    which a skill counts as dead. `concept_cosine`: mean cosine of the concept vectors of held-out goals above which they have
    collapsed, where the bundled rail has 0.43; looked at from `concept_after` steps and a quarter of the run on.
    """

    enabled: bool = True
    history: int = 400
    every: int = 50
    windows: int = 32
    correlation: float = 0.8
    denominator: float = 0.7
    at_cap: int = 100
    idle_skill: int = 200
    concept_cosine: float = 0.8
    concept_after: int = 100

    def __post_init__(self) -> None:
        check_bounds(
            self,
            {
                "history": (16, 65_536),
                "every": (1, 65_536),
                "windows": (1, 4096),
                "at_cap": (4, 65_536),
                "idle_skill": (1, 65_536),
                "concept_after": (1, 65_536),
            }
            | dict.fromkeys(("correlation", "denominator", "concept_cosine"), (0, 1)),
        )
