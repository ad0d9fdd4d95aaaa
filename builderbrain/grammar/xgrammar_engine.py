"""The mask engine over xgrammar alone: for the project's own grammars, which are EBNF, and as the reference of the other."""

from __future__ import annotations

from builderbrain.grammar.engine import GrammarEngine
from builderbrain.grammar.native import EngineName


class XGrammarEngine(GrammarEngine):
    """A `GrammarEngine` that has no other library than xgrammar."""

    engines: tuple[EngineName, ...] = ("xgrammar",)
