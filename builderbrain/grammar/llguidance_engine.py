"""The mask engine over llguidance alone: what it refuses is refused. EBNF is refused."""

from __future__ import annotations

from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.native import EngineName


class LLGuidanceEngine(GrammarEngine):
    """A `GrammarEngine` that has no other library than llguidance."""

    engines: tuple[EngineName, ...] = ("llguidance",)
