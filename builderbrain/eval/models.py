"""Subjects that hold a model. All of them decode greedily under the domain's plan grammar, from the same prompt.

A rail guesses the intent with its policy heads. A base alone and a LoRA have none, so their guess is a reading of the plan
they decode: the comparison is then about what was understood, not about who has a head for it.
"""

from __future__ import annotations

from typing import Any

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import generate
from builderbrain.decode.model import TokenModel
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.errors import ContextLengthError, MaskEmptyError
from builderbrain.eval.compare import guess_of_plan
from builderbrain.eval.subject import IntentGuess
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Host
from builderbrain.plan import load_grammar
from builderbrain.rail.model import RailModel

DOMAIN = "repo_assistant"
MAX_PLAN_TOKENS = 120
"""Twice what the longest reference needs under a small vocabulary; a model that rambles is cut off here."""
MAX_DOMAIN_PLAN_TOKENS = 320
"""The same for other domains, whose calls have more arguments."""
CUT_OFF = "\n<cut off>"
"""Ends a plan that was not finished, so that a half that happens to parse is not taken for a whole."""


def compile_plan_grammar(host: Host, domain: str = DOMAIN, version: int | None = None) -> CompiledConstraint:
    """The plan grammar of a domain, by default of the version in use, for a host's tokenizer."""
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    return engine.compile(Constraint(kind="grammar", source=load_grammar(domain, version)), trusted=True)


class DecodedSubject:
    """A model whose guess is a reading of its plan."""

    def __init__(
        self,
        name: str,
        model: TokenModel,
        grammar: CompiledConstraint,
        *,
        max_plan_tokens: int = MAX_PLAN_TOKENS,
        temperature: float = 0.0,
        seed: int = 0,
        introduction: str = "",
    ) -> None:
        """Args:
        max_plan_tokens: a plan that is longer is cut off.
        temperature: of every draw, with this `seed`.
        introduction: what is said before every goal.
        """
        self.name = name
        self._model = model
        self._grammar = grammar
        self._max_plan_tokens = max_plan_tokens
        self._temperature, self._seed = temperature, seed
        self._introduction = introduction

    def plan(self, goal: str) -> str:
        """The plan as it is decoded.

        Raises:
            ContextLengthError: the goal leaves no room for a plan.
        """
        prompt = self.prompt_tokens(goal)
        room = min(self._max_plan_tokens, self._model.max_length - len(prompt))
        if room < 1:
            raise ContextLengthError(
                f"expected a goal of fewer than {self._model.max_length} tokens, got {len(prompt)}; use shorter goals",
                field="goal",
            )
        parameters = SamplingParameters(max_tokens=room, temperature=self._temperature, seed=self._seed)
        try:
            generation = generate(self._model, prompt, parameters, self._grammar)
        except MaskEmptyError:
            return CUT_OFF
        return generation.text if generation.finish_reason == "stop" else generation.text + CUT_OFF

    def intent(self, goal: str) -> IntentGuess:
        """What the decoded plan shows."""
        return guess_of_plan(self.plan(goal))

    def prompt_tokens(self, goal: str) -> list[int]:
        """The prompt that rails are trained on."""
        return plan_prompt(self._model.tokenizer, self._introduction + goal)


class RailSubject(DecodedSubject):
    """A host with a rail; the guess comes from the policy heads, the spans are text copied from the goal."""

    def __init__(self, name: str, model: RailModel, grammar: CompiledConstraint, **decoding: Any) -> None:
        super().__init__(name, model, grammar, **decoding)
        self._rail = model

    def intent(self, goal: str) -> IntentGuess:
        """The policy heads' reading of the prompt, in one pass.

        Raises:
            UnsupportedModelError: the rail was trained without policy heads.
        """
        prompt = self.prompt_tokens(goal)
        reading = self._rail.read_policy(prompt)
        pick = reading.choices.get("pick", "none")
        return IntentGuess(
            intent=reading.intent,
            first_action=reading.actions[0] if reading.actions else "none",
            pattern=self._span_text(prompt, reading.spans.get("pattern")),
            path=self._span_text(prompt, reading.spans.get("path")),
            pick=None if pick == "none" else pick,
        )

    def _span_text(self, prompt: list[int], span: tuple[int, int] | None) -> str | None:
        """Tokens carry the space before their word; it is no part of the slot."""
        return None if span is None else self._model.tokenizer.decode(prompt[span[0] : span[1]]).strip()
