"""Shape of a builder rail. Typed, keyword-only, saved beside the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from builderbrain.errors import ConfigError

MAX_PLAN_NODES = 16

NEXT_SKILL = "next"
"""The pinned skill that decides which step comes next."""

_OPTIONAL = (
    "proposal_rank",
    "pinned_skills",
    "plan_nodes",
    "aliases",
    "chain_width",
    "chain_slots",
    "chain_base",
    "chain_evidence",
    "chain_others",
    "chain_linear",
    "chain_links",
)
"""Parts of a rail that came after the first rails were saved."""


TokenSlots = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of token slots with their options."""


@dataclass(frozen=True, kw_only=True)
class RailConfig:
    """A rail for one base: `d_model`, `vocab_size` (of the tokenizer), `num_taps` and `base_name` must match its host.

    `quote_tokens` open or close a string literal and `line_tokens` break a line: what the reading head goes by.
    `skill_rank` is that of a skill's adapters on the stream, `proposal_rank` of its adapter on what is proposed to the base
    at the last tap; 0 for none. `pinned_skills` are the names of the first skills: `next`, and then node types of plans, each
    of which writes the arguments of its own nodes. Empty when the router is free. `aliases` are rows that the router has beyond
    `num_skills`, whose tokens another skill answers for (`builderbrain.rail.skill_book`).
    `plan_nodes` is the most nodes that the plan head foresees, 0 for a rail without one; `actions` are its skills.
    `chain_width` is that of the chain head, 0 for a rail without one: its tools are the actions, `chain_links` the pairs of
    them (by number) that may follow one another, `chain_slots` the rows of its tables of words and n-grams, and with
    `chain_base` it reads the base's last tap as well, with `chain_evidence` each tool looks for words of its own;
    `chain_others` are its readers beyond the first, and `chain_linear`
    the rows of the table of its linear part, 0 for none.
    Letters of `model.md`: c = `width`, l = `latent_heads * head_size`, K
    = `num_skills`, M = `max_memory_tokens`.
    """

    base_name: str
    d_model: int
    vocab_size: int
    tap_points: tuple[int, ...]
    width: int
    head_size: int = 32
    self_heads: int = 2
    reading_heads: int = 1
    query_heads: int = 3
    latent_heads: int = 3
    mlp_ratio: float = 2.0
    rope_theta: float = 10_000.0
    reading_match: int = 4
    reading_window: int = 16
    reading_width: int = 16
    word_slots: int = 1024
    word_width: int = 24
    quote_tokens: tuple[int, ...] = ()
    line_tokens: tuple[int, ...] = ()
    num_skills: int = 32
    skill_rank: int = 2
    proposal_rank: int = 0
    pinned_skills: tuple[str, ...] = ()
    aliases: int = 0
    max_memory_tokens: int = 8
    alpha_budget: float = 0.05
    intents: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    max_actions: int = 6
    span_slots: tuple[str, ...] = ("pattern", "path")
    token_slots: TokenSlots = ()
    choice_slots: tuple[tuple[str, tuple[str, ...]], ...] = (("pick", ("none", "first", "last")),)
    plan_nodes: int = 0
    chain_width: int = 0
    chain_slots: int = 0
    chain_base: bool = False
    chain_evidence: bool = False
    chain_others: int = 0
    chain_linear: int = 0
    chain_links: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for name in ("d_model", "width", "head_size", "self_heads", "reading_heads", "query_heads", "latent_heads",
                     "num_skills", "skill_rank", "reading_match", "reading_window", "reading_width", "word_slots", "word_width",
                     "vocab_size"):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"expected rail.{name} >= 1, got {getattr(self, name)}", field=f"rail.{name}")
        for name in ("proposal_rank", "aliases"):
            if getattr(self, name) < 0:
                raise ConfigError(f"expected rail.{name} >= 0, got {getattr(self, name)}", field=f"rail.{name}")
        if self.pinned_skills and (self.pinned_skills[0] != NEXT_SKILL or len(self.pinned_skills) > self.num_skills):
            raise ConfigError(
                f"expected rail.pinned_skills to begin with {NEXT_SKILL!r} and at most num_skills {self.num_skills} of them, "
                f"got {', '.join(self.pinned_skills)}; raise rail.num_skills",
                field="rail.pinned_skills",
            )
        if self.head_size % 2:
            raise ConfigError(f"expected an even rail.head_size (rotary pairs), got {self.head_size}", field="rail.head_size")
        if self.query_heads % self.latent_heads:
            raise ConfigError(
                f"expected rail.query_heads to be a multiple of latent_heads {self.latent_heads}, got {self.query_heads}",
                field="rail.query_heads",
            )
        if len(self.token_slots) == 1:  # the last two are paired: names and steps
            raise ConfigError("expected no rail.token_slots or at least two, got one", field="rail.token_slots")
        if not 0 <= self.plan_nodes <= MAX_PLAN_NODES or (self.plan_nodes and not self.actions):
            raise ConfigError(
                f"expected rail.plan_nodes in 0..{MAX_PLAN_NODES}, and rail.actions where it is not 0, got {self.plan_nodes} "
                f"with {len(self.actions)} actions",
                field="rail.plan_nodes",
            )
        if self.chain_width:
            self._check_chain()
        if not 0.0 <= self.alpha_budget <= 1.0:
            raise ConfigError(f"expected rail.alpha_budget in [0, 1], got {self.alpha_budget}", field="rail.alpha_budget")
        if not self.tap_points:
            raise ConfigError("expected at least one tap point, got none", field="rail.tap_points")

    def _check_chain(self) -> None:
        if self.chain_width < 2 or self.chain_width % 2 or self.chain_slots < 1 or not self.actions:
            raise ConfigError(
                f"expected an even rail.chain_width with rail.chain_slots >= 1 and rail.actions, got {self.chain_width} with "
                f"{self.chain_slots} slots and {len(self.actions)} actions",
                field="rail.chain_width",
            )
        if any(not 0 <= end < len(self.actions) for link in self.chain_links for end in link):
            raise ConfigError(
                f"expected rail.chain_links between actions 0 to {len(self.actions) - 1}, got one beyond; "
                "take actions and links from one graph of tools",
                field="rail.chain_links",
            )

    @property
    def num_taps(self) -> int:
        """Number of taps, and of builder blocks N."""
        return len(self.tap_points)

    @property
    def num_routes(self) -> int:
        """Number of the router's rows."""
        return self.num_skills + self.aliases

    def to_json(self) -> dict[str, Any]:
        """JSON value that `from_json` reads back. What a rail may lack is left out, so that older rails keep their version."""
        value = asdict(self)
        for name in _OPTIONAL:
            if not value[name]:
                del value[name]
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RailConfig:
        """Read a saved configuration.

        Raises:
            ConfigError: an unknown or missing key.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(value) - known)
        if unknown:
            raise ConfigError(f"unknown rail key {unknown[0]!r}; expected one of {sorted(known)}", field=f"rail.{unknown[0]}")
        data = {key: _tuples(item) for key, item in value.items()}
        try:
            return cls(**data)
        except TypeError as error:
            raise ConfigError(f"incomplete rail configuration: {error}", field="rail") from error


def _tuples(value: Any) -> Any:
    """Lists of JSON back to the tuples of the dataclass."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def default_width(d_model: int, reduction: int) -> int:
    """Builder width c = d / r, rounded up to a multiple of 8."""
    return max(8, (d_model // reduction + 7) // 8 * 8)
