"""Configuration of a training run; `--config FILE` and `key=value` overrides fill it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from builderbrain.config import check_bounds
from builderbrain.errors import ConfigError
from builderbrain.hosts.quantization import Quantization
from builderbrain.rail.config import MAX_PLAN_NODES
from builderbrain.train.conflict.config import ConflictSection
from builderbrain.train.constraint_sections import ConstraintsSection
from builderbrain.train.lifecycle.config import SkillsSection
from builderbrain.train.state_cache import StateCacheSection
from builderbrain.train.tool_graph.section import ToolGraphSection
from builderbrain.train.watch.config import WatchSection


@dataclass(frozen=True, kw_only=True)
class RailSection:
    """Shape of the rail; 0 for `width` takes d / `reduction`, 0 for `num_taps` taps up to eight layers, 0 for `plan_nodes` no
    plan head. `pinned` ties the first skills to the domain's node types, and `next` to the choice among them."""

    width: int = 0
    reduction: int = 16
    num_taps: int = 0
    head_size: int = 32
    self_heads: int = 1
    reading_heads: int = 1
    query_heads: int = 2
    latent_heads: int = 2
    mlp_ratio: float = 1.2
    word_slots: int = 1024
    word_width: int = 24
    num_skills: int = 32
    skill_rank: int = 2
    proposal_rank: int = 0
    pinned: bool = False
    plan_nodes: int = 0

    def __post_init__(self) -> None:
        sizes = ("head_size", "self_heads", "reading_heads", "query_heads", "latent_heads", "num_skills", "skill_rank",
                 "reduction", "word_width")  # fmt: skip
        check_bounds(
            self,
            {
                "width": (0, 65_536),
                "num_taps": (0, 256),
                "proposal_rank": (0, 4096),
                "word_slots": (1, 1 << 24),
                "mlp_ratio": (0.01, 64),
                "plan_nodes": (0, MAX_PLAN_NODES),
            }
            | dict.fromkeys(sizes, (1, 4096)),
        )


@dataclass(frozen=True, kw_only=True)
class BudgetSection:
    """Alpha budget: raised one step when held-out loss fell by `improvement` since the last raise, lowered on regress.

    It is not raised while the safety debt (nats/token) or the calibration debt (probability) lies above the least it was at
    raises by more than `safety_debt` and `calibration_debt`. With the KL budget's target, 0.07 makes 0.1, the end of what is
    healthy.
    """

    steps: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
    improvement: float = 0.001
    regress: float = 0.5
    safety_debt: float = 0.07
    calibration_debt: float = 0.05

    def __post_init__(self) -> None:
        if not self.steps or list(self.steps) != sorted(self.steps) or not 0 <= self.steps[0] <= self.steps[-1] <= 1:
            raise ConfigError(f"expected ascending budgets in [0, 1], got {self.steps}", field="steps")
        check_bounds(self, {"improvement": (0, 1), "regress": (0, 100), "safety_debt": (0, 1000), "calibration_debt": (0, 1)})


@dataclass(frozen=True, kw_only=True)
class ScanSection:
    """With `data=scan`: the published `split` whose training part is learned, the share of rows that wear a skin, and the one
    `task` of it that is learned (`builderbrain.train.scan.tasks`)."""

    split: Literal["simple", "addprim_jump", "addprim_turn_left", "length", "template_around_right"] = "simple"
    skins: float = 0.7
    task: Literal["all", "verb", "way", "times", "and", "after"] = "all"

    def __post_init__(self) -> None:
        check_bounds(self, {"skins": (0, 1)})


_ANY = math.inf
_BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "steps": (1, _ANY),
    "batch_size": (1, 65_536),
    "micro_batches": (1, 65_536),
    "base_text_rows": (0, 65_536),
    "base_text_pool": (0, 2**31 - 1),
    "base_text_positions": (0, 2**31 - 1),
    "width_multiple": (1, 4096),
    "learning_rate": (0, 1),
    "muon_learning_rate": (0, 1),
    "warmup_fraction": (0, 1),
    "weight_decay": (0, 1),
    "gradient_clip": (1e-6, _ANY),
    "trivial_weight": (0, 1),
    "literal_weight": (0, 1),
    "policy_weight": (0, _ANY),
    "copy_weight": (0, _ANY),
    "label_weight": (0, _ANY),
    "pin_weight": (0, _ANY),
    "wrong_steps": (0, 1),
    "replay": (0, 0.999),
    "memory_fraction": (0, 1),
    "router_temperature": (0.001, 100),
    "evaluation_every": (1, _ANY),
    "evaluation_rows": (1, 65_536),
    "checkpoint_every": (1, _ANY),
    "rank_timeout": (1, 86_400),
}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A run: base, data, rail, optimiser, constraints.

    `start` is the folder of a rail to go on from, empty for a new one; its shape then replaces the section `rail`. With
    `start_skills=new` only its trunk is taken: skills of the shape in the section `rail`, router and policy heads are new, and
    `data` may be another domain than the rail's. `trainable=skills` moves those alone and leaves the trunk as it is.
    `data` is `repo_assistant`, `scan`, one of the domains of docs/domain_goals.md or `spoken`, five at once (generated
    goals), `toolgraph` (rows of the section `tool_graph`), or data of your own: a folder that `ingest` made, or a JSONL file
    (docs/training.md), beside which the share `replay` of each batch are generated goals of its domain. `output` receives
    checkpoints, the log and, at the end, the rail. `base_text_rows` rows of ordinary text ride in each batch for the KL
    budget; every `base_text_pool` draws they come again, 0 for never; of each part's ordinary text the divergence is read at
    `base_text_positions` tokens, drawn anew in every step, 0 for all. A batch is run in `micro_batches` parts of rows of like
    length, which halves the padding; their gradients add up to the batch's. Each part is padded to a multiple of
    `width_multiple` tokens: few widths make a cache of states know the ordinary text again, whose windows are as wide as the
    part. `tensorboard` "auto" writes its files when it is installed. Of several processes (`torchrun`), each runs some of the
    `micro_batches` parts, and waits at most `rank_timeout` seconds for the others.
    """

    model: str = "builderbrain-nano"
    quantization: Quantization = "none"
    device: str = "auto"
    output: str = "runs/train"
    start: str = ""
    start_skills: Literal["keep", "new"] = "keep"
    trainable: Literal["rail", "skills"] = "rail"
    data: str = "repo_assistant"
    seed: int = 0

    steps: int = 4000
    batch_size: int = 20
    micro_batches: int = 3
    base_text_rows: int = 3
    base_text_pool: int = 0
    base_text_positions: int = 0
    width_multiple: int = 1
    learning_rate: float = 2e-3
    muon_learning_rate: float = 0.02
    warmup_fraction: float = 0.01
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    trivial_weight: float = 0.1
    literal_weight: float = 0.3
    policy_weight: float = 0.6
    copy_weight: float = 0.3
    label_weight: float = 10.0
    pin_weight: float = 0.3
    wrong_steps: float = 0.3
    replay: float = 0.0
    memory_fraction: float = 0.5
    router_temperature: tuple[float, float] = (1.0, 0.05)

    evaluation_every: int = 10
    evaluation_rows: int = 24
    checkpoint_every: int = 100
    rank_timeout: float = 600.0
    tensorboard: Literal["auto", "always", "never"] = "auto"

    rail: RailSection = field(default_factory=RailSection)
    constraints: ConstraintsSection = field(default_factory=ConstraintsSection)
    conflict: ConflictSection = field(default_factory=ConflictSection)
    watch: WatchSection = field(default_factory=WatchSection)
    budget: BudgetSection = field(default_factory=BudgetSection)
    scan: ScanSection = field(default_factory=ScanSection)
    tool_graph: ToolGraphSection = field(default_factory=ToolGraphSection)
    skills: SkillsSection = field(default_factory=SkillsSection)
    state_cache: StateCacheSection = field(default_factory=StateCacheSection)

    def __post_init__(self) -> None:
        check_bounds(self, _BOUNDS)
        if self.batch_size < self.micro_batches:
            raise ConfigError(
                f"expected batch_size >= micro_batches={self.micro_batches}, the parts that a batch is cut into, got "
                f"{self.batch_size}; take more rows or fewer parts",
                field="batch_size",
            )
        if not self.start and (self.start_skills == "new" or self.trainable == "skills"):
            key = "start_skills" if self.start_skills == "new" else "trainable"
            raise ConfigError(
                f"expected start=FOLDER of a rail whose trunk is kept with {key}={getattr(self, key)}, got none", field="start"
            )
        if self.data == "toolgraph" and self.wrong_steps:
            raise ConfigError(
                "expected wrong_steps=0 with data=toolgraph, since a step of another goal breaks the links that the grammar "
                f"of the graph asks for, got {self.wrong_steps}",
                field="wrong_steps",
            )
        if self.trainable == "skills" and self.conflict.method != "none":
            raise ConfigError(
                "expected trainable=rail with conflict.method, whose Gramian is read off the trunk's last block, "
                f"got trainable=skills and conflict.method={self.conflict.method}",
                field="conflict.method",
            )
        if self.constraints.g2g.enabled and not (self.rail.plan_nodes or self.start):
            raise ConfigError(
                "expected rail.plan_nodes >= 1 while constraints.g2g is on, got 0; 16 is the most",
                field="rail.plan_nodes",
            )
        pressure = self.constraints.build.enabled or self.constraints.g2g.enabled
        if self.skills.births and not (self.constraints.reuse.enabled and pressure):
            raise ConfigError(
                "expected constraints.reuse.enabled=true and constraints.build or g2g enabled with skills.births, which they "
                "trigger; a cap of 0 lets a constraint read without pushing",
                field="skills.births",
            )
        if self.skills.live and self.start and self.start_skills == "keep":
            raise ConfigError(
                "expected skills.live=0 with the skills of a trained rail, whose book says which are live, got "
                f"{self.skills.live}; set start_skills=new for new ones",
                field="skills.live",
            )
        if self.skills.live and self.constraints.reuse.enabled and self.constraints.reuse.skills > self.skills.live:
            raise ConfigError(
                f"expected constraints.reuse.skills at most skills.live={self.skills.live}, since fewer can not reach the "
                f"variety it asks for, got {self.constraints.reuse.skills}",
                field="constraints.reuse.skills",
            )
        if self.base_text_rows == 0 and self.constraints.kl_budget.enabled:
            raise ConfigError(
                "expected base_text_rows >= 1 while constraints.kl_budget is on, got 0; give it rows or set "
                "constraints.kl_budget.enabled=false",
                field="base_text_rows",
            )
