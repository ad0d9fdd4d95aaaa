"""Configuration of the training of a chain head; `--config FILE` and `key=value` overrides fill it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from builderbrain.config import check_bounds
from builderbrain.train.tool_graph.section import ToolGraphSection


@dataclass(frozen=True, kw_only=True)
class ChainTrainConfig:
    """A run. `start`: folder of a rail whose trunk is kept, empty for a new rail; `output`: the folder of the run.

    `width`, `slots`, `reads_base`, `evidence`: of the head, as `chain_width`, `chain_slots`, `chain_base` and `chain_evidence`
    of `RailConfig`.
    `readers`: how many readers are trained apart, whose probabilities are averaged. `linear`: `chain_linear` of `RailConfig`.
    `dropout` and `word_dropout`: shares of values and of whole words that a step does not see. `asked_weight` is that of the
    loss of which tools are asked for at all, `smoothing` that of the labels (Szegedy et al. 2016).
    """

    model: str = "builderbrain-nano"
    device: str = "auto"
    start: str = ""
    output: str = "runs/chain"
    seed: int = 0
    epochs: int = 36
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_fraction: float = 0.02
    weight_decay: float = 0.02
    gradient_clip: float = 1.0
    dropout: float = 0.4
    word_dropout: float = 0.1
    smoothing: float = 0.05
    asked_weight: float = 20.0
    width: int = 160
    slots: int = 8192
    reads_base: bool = False
    evidence: bool = True
    readers: int = 2
    linear: int = 8192
    checkpoint_every: int = 200
    tensorboard: Literal["auto", "always", "never"] = "auto"
    tool_graph: ToolGraphSection = field(default_factory=ToolGraphSection)

    def __post_init__(self) -> None:
        shares = ("dropout", "word_dropout", "smoothing")
        counts = ("epochs", "batch_size", "checkpoint_every", "slots")
        check_bounds(
            self,
            {
                **dict.fromkeys(counts, (1, 1 << 24)),
                **dict.fromkeys(shares, (0.0, 0.95)),
                **dict.fromkeys(("learning_rate", "warmup_fraction", "weight_decay"), (0.0, 1.0)),
                "gradient_clip": (1e-6, math.inf),
                "asked_weight": (0.0, math.inf),
                "width": (2, 4096),
                "readers": (1, 64),
                "linear": (0, 1 << 24),
                "seed": (0, 2**31 - 1),
            },
        )
