"""Free text under a constraint ends with the token that ends the base's turns."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
import torch

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import Decoding
from builderbrain.decode.random_model import RandomModel
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.serve.turn_constraint import TurnConstraint
from tests.grammar.oracle import PIECES, PieceTokenizer

TAG = {"type": "tag", "begin": "<a>", "content": {"type": "json_schema", "json_schema": {"const": 1}}, "end": "</a>"}
FORM = {"type": "triggered_tags", "triggers": ["<a>"], "tags": [TAG]}
PARTS = (b"<", b">", b"/")


class Saying(RandomModel):
    """Wants to say these tokens."""

    def __init__(self, tokenizer: PieceTokenizer, tokens: Sequence[int]) -> None:
        super().__init__(tokenizer, tokenizer.vocab_size)
        self.tokens = list(tokens)

    def start(self, prompt_tokens: Sequence[int]) -> object:
        state, left = super().start(prompt_tokens), list(self.tokens)

        def logits() -> torch.Tensor:
            return torch.zeros(self.vocab_size).index_fill(0, torch.tensor(left.pop(0)), 50.0)

        state.logits = logits  # type: ignore[method-assign]
        return state


@pytest.mark.parametrize(
    ("text", "said"), [("ab", "ab"), ("", ""), ("<a>1</a>", "<a>1</a>"), ("<a>1</a>b", "<a>1</a>b"), ("<a>1", None)]
)
def test_the_end_of_a_turn_is_legal_where_the_text_may_end(text: str, said: str | None) -> None:
    tokenizer = PieceTokenizer((*PIECES, *PARTS), byte_fallback=False)
    engine = GrammarEngine(tokenizer, tokenizer.vocab_size)
    tool = tokenizer.backend.token_to_id("<|tool|>")
    inner = engine.compile(Constraint(kind="structural_tag", source=json.dumps({"type": "structural_tag", "format": FORM})))
    constraint = TurnConstraint(
        inner=inner, eos_token_id=tokenizer.eos_token_id, stop_tokens=frozenset([tool, tokenizer.eos_token_id]), declared=()
    )
    by_byte = {token: index for index, token in enumerate(engine.vocabulary.token_bytes) if len(token) == 1}
    tokens = [by_byte[character.encode()] for character in text]
    model = Saying(tokenizer, [*tokens, tool, *[by_byte[b"a"]] * 9])
    parameters = SamplingParameters(max_tokens=len(tokens) + 5, temperature=0.0)
    decoding = Decoding(model, [1], parameters, constraint, stop_tokens=constraint.stop_tokens)
    last = None
    while (step := decoding.step()) is not None:
        last = step
    found = decoding.result()
    assert last is not None
    if said is None:
        assert found.text.startswith("<a>1</a>")
        return
    assert (found.text, found.finish_reason, last.token) == (said, "stop", tool)
    assert found.constraint is not None
    assert found.constraint.valid is True
