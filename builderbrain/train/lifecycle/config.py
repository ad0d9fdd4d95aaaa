"""Keys of the section `skills`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SkillsSection:
    """Which skills a run may bear, merge and retire, and when.

    `live`: skills that are live at the start, 0 for all of `rail.num_skills`; the other rows are free. `births`: one at most
    every `every` steps, when over the last `window` steps the mean reading of `constraints.reuse` is within its target and that
    of `constraints.build` or `g2g` is over its own. It `start`s as a copy of the skill whose tokens carry most of the held-out
    loss, or from `zero`. `merges`: every `every` steps the two most alike, if their cosine is at least `merge_cosine` and the
    held-out loss rises by at most `tolerance` nats per token when one answers for both; newborns are left alone for
    `retire_window` steps. `retirements`: skills with less than `retire_under` of the tokens over `retire_window` steps, within
    the same tolerance. `watch`: none of these, but usage is counted and logged all the same.
    """

    live: int = 0
    births: bool = False
    merges: bool = False
    retirements: bool = False
    watch: bool = False
    start: Literal["nearest", "zero"] = "nearest"
    every: int = 100
    window: int = 20
    merge_cosine: float = 0.9
    retire_under: float = 0.001
    retire_window: int = 200
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        check_bounds(
            self,
            {"live": (0, 4096), "retire_under": (0, 1), "merge_cosine": (0, 1), "tolerance": (0, 100)}
            | dict.fromkeys(("every", "window", "retire_window"), (1, 65_536)),
        )
        if self.births and self.window > self.every:
            raise ConfigError(
                f"expected window at most every={self.every}, the steps between two births, got {self.window}",
                field="window",
            )

    @property
    def on(self) -> bool:
        """Whether skills are counted at all."""
        return self.births or self.merges or self.retirements or self.watch or self.live > 0
