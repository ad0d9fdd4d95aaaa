"""The fields of a request that ask for a beam search, under vLLM's and transformers' names where they have one."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.serve.fields import RequestModel, refusal

MOST_BEAMS = 8
DEFAULT_BEAMS = 4
_OWN = ("beam_width", "length_penalty", "early_stopping", "diversity_penalty", "grammar_weight")
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "temperature": (0,),
    "temperature_schedule": (),
    "logit_bias": ({},),
    "min_tokens": (0,),
    "top_p": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "repetition_penalty": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "stream": (False,),
}
"""Fields that a search does not read, and the values that ask for nothing."""


class BeamFields(RequestModel):
    """With `use_beam_search`, `n` choices of at most `beam_width` come back, best first."""

    use_beam_search: bool | None = None
    beam_width: int | None = Field(default=None, ge=2, le=MOST_BEAMS)
    length_penalty: float | None = Field(default=None, ge=-10, le=10)
    early_stopping: bool | None = None
    diversity_penalty: float | None = Field(default=None, ge=0, le=100)
    grammar_weight: float | None = Field(default=None, ge=0, le=10)

    def check_beams(self, count: int | None) -> None:
        """Refuse what does not go with a search, or without one.

        Args:
            count: the request's `n`.

        Raises:
            PydanticCustomError: names the field.
        """
        if not self.use_beam_search:
            for name in _OWN:
                if getattr(self, name) is not None:
                    raise refusal(name, f"{name} needs use_beam_search: true")
            return
        for name, neutral in _WITHOUT_EFFECT.items():
            value = getattr(self, name, None)
            if value is not None and value not in neutral:
                why = (
                    "its texts are known when it has ended"
                    if name == "stream"
                    else "it ranks by the model's probabilities alone"
                )
                raise refusal(name, f"a beam search does not read {name}: {why}; leave it out")
        extensions = getattr(self, "builderbrain", None)
        if extensions is not None and extensions.token_details:
            raise refusal("builderbrain", "a beam search does not tell token_details; leave them out")
        most = MOST_BEAMS if self.beam_width is None else self.beam_width
        if count is not None and count > most:
            raise refusal("n", f"expected at most beam_width choices, {most}, got {count}")

    def beams(self, count: int) -> BeamParameters | None:
        """The search for `count` choices; None where outputs are sampled."""
        if not self.use_beam_search:
            return None
        given = {name: value for name in _OWN[1:] if (value := getattr(self, name)) is not None}
        width = max(DEFAULT_BEAMS, count) if self.beam_width is None else self.beam_width
        return BeamParameters(width=width, count=count, **given)
