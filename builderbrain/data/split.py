"""Which split a row falls into: by a hash of what it is about, so that adding rows moves none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

from builderbrain.config import check_bounds
from builderbrain.data.trace import Trace
from builderbrain.errors import ConfigError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of the validation and the test split; the rest is for training. Another `seed` draws another split."""

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check_bounds(self, {"validation": (0.0, 1.0), "test": (0.0, 1.0)})
        if self.validation + self.test > 1:
            raise ConfigError(f"expected validation + test of at most 1, got {self.validation} + {self.test}", field="test")


def split_of(trace: Trace, config: SplitConfig, *, group: str | None = None) -> Split:
    """The split of a row. Rows of one group, and rows with the same request but for case and spacing, fall together.

    Args:
        group: what stands for the row's group, where that does not tell groups apart; None for the group itself.
    """
    named = trace.group if group is None else group
    return split_of_key(f"group {named}" if named is not None else request_key(_asked(trace)), config)


def split_of_key(key: str, config: SplitConfig) -> Split:
    """The split of everything that shares this key."""
    place = unit_hash(f"{config.seed} {key}")
    if place < config.validation:
        return "validation"
    return "test" if place < config.validation + config.test else "train"


def request_key(request: str) -> str:
    """What two requests share when they differ in case and spacing only."""
    return "request " + " ".join(request.casefold().split())


def unit_hash(key: str) -> float:
    """A number in [0, 1) from sha256, the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big") / (1 << 56)


def _asked(trace: Trace) -> str:
    """The request; for a log without a conversation the first call stands for it."""
    return trace.request or (f"{trace.calls[0].tool} {dict(trace.calls[0].args)}" if trace.calls else "")
