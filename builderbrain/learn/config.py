"""What a learner may do, in a YAML file whose keys are the fields below (`--learn-config`)."""

from __future__ import annotations

from dataclasses import dataclass, field

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError
from builderbrain.learn.defences import DefenceLimits

LEAST_COMPARED = 119
"""Prompts that live answers twice, below which the A/A tolerance has no bound (`gate.statistics.tolerance`)."""


@dataclass(frozen=True, kw_only=True)
class LearnConfig:
    """Args:
    least_rows: examples that must have come since the last candidate.
    most_rows: of the examples of a candidate, the newest.
    interval_seconds: from one candidate's beginning to the next one's.
    per_day: candidates within 24 hours.
    steps, rows_per_step, learning_rate, muon_learning_rate: of a candidate's training.
    keep: share of a training's change that its candidate has; the rest of the way back to live costs little of what was learned
    and undoes most of what changed by the way.
    live_share: of the rows of a step, which come from live traffic; the others are generated goals, against forgetting.
    trusted: generated goals that the defences compare with.
    micro_step_seconds: what a micro-step of training is to take at most; steps are cut into as many parts as that needs.
    most_disk_bytes: of traces.
    most_upload_bytes, most_uploaded_bytes: of one file that is uploaded to train on, and of all of them together.
    canary_observations: readings that a promoted version must have before the next candidate may take its place; none is no
    success.
    promote: whether a candidate that the gate passes goes live by itself.
    gate_timeout_seconds: of one answer in the gate, which waits for gaps as all learning does.
    gate_max_tokens, gate_compared: of an answer in the gate; and how many prompts live answers twice, for the tolerance.
    poll_seconds: between two looks of the learner.
    battery: JSONL files in place of the shipped battery.
    """

    least_rows: int = 32
    most_rows: int = 1024
    interval_seconds: float = 600.0
    per_day: int = 24
    steps: int = 60
    rows_per_step: int = 12
    keep: float = 0.5
    live_share: float = 0.5
    learning_rate: float = 5e-4
    muon_learning_rate: float = 5e-3
    trusted: int = 128
    micro_step_seconds: float = 0.02
    most_disk_bytes: int = 256 << 20
    most_upload_bytes: int = 64 << 20
    most_uploaded_bytes: int = 1 << 30
    canary_observations: int = 20
    promote: bool = True
    gate_timeout_seconds: float = 600.0
    gate_max_tokens: int = 160
    gate_compared: int = 150
    poll_seconds: float = 1.0
    battery: tuple[str, ...] = ()
    seed: int = 0
    defences: DefenceLimits = field(default_factory=DefenceLimits)

    def __post_init__(self) -> None:
        if 0 < self.gate_compared < LEAST_COMPARED:
            raise ConfigError(
                f"expected gate_compared of 0 or at least {LEAST_COMPARED}, got {self.gate_compared}: fewer bound no "
                "tolerance, and nothing would ever be promoted",
                field="gate_compared",
            )
        check_bounds(
            self,
            {
                "least_rows": (1, 1 << 20),
                "most_rows": (1, 1 << 20),
                "interval_seconds": (0, 1e9),
                "per_day": (0, 1 << 20),
                "steps": (1, 1 << 20),
                "rows_per_step": (2, 4096),
                "keep": (0.01, 1),
                "live_share": (0.01, 0.99),
                "learning_rate": (0, 1),
                "muon_learning_rate": (0, 1),
                "trusted": (16, 1 << 16),
                "micro_step_seconds": (1e-4, 60),
                "most_disk_bytes": (1 << 16, 1 << 50),
                "most_upload_bytes": (1, 1 << 30),
                "most_uploaded_bytes": (1, 1 << 50),
                "canary_observations": (0, 1 << 20),
                "gate_timeout_seconds": (1, 1e6),
                "gate_max_tokens": (1, 4096),
                "gate_compared": (0, 5000),
                "poll_seconds": (0.001, 3600),
                "seed": (0, 2**31 - 1),
            },
        )
