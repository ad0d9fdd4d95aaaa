"""With beams enough, beam search finds what spelling out every legal text finds."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest

from builderbrain.decode.beam_scores import BeamParameters
from builderbrain.decode.random_model import RandomModel
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.engine import GrammarEngine
from tests.decode.test_beams import PROMPT, search
from tests.grammar.oracle import PIECES, PieceTokenizer

WORDS = ["a", "ab", "aba", "abé", "b12", "b1", "b-1", "true", "truer", "[1,1]"]


class Enumerated:
    """Every spelling of every word, with the score that its tokens have under a model; reads no mask."""

    def __init__(self, of: RandomModel, pieces: Sequence[bytes], words: Sequence[str], most: int) -> None:
        self.of, self.pieces, self.most = of, pieces, most
        self.words = [word.encode() for word in words]

    def best(self, weight: float, length_penalty: float) -> list[tuple[str, float]]:
        """The texts with the score of the best spelling of each, best first."""
        found: dict[str, float] = {}
        for tokens, total in self._spellings([], b"", 0.0, weight):
            text = b"".join(self.pieces[token] for token in tokens).decode()
            score = total / max(len(tokens), 1) ** length_penalty
            found[text] = max(found.get(text, -math.inf), score)
        return sorted(found.items(), key=lambda item: -item[1])

    def _spellings(self, tokens: list[int], text: bytes, total: float, weight: float) -> Any:
        state = self.of.start([*PROMPT, *tokens])
        logprobs = state.logits().double().log_softmax(-1)
        legal = [
            token
            for token, piece in enumerate(self.pieces)
            if piece and any(word.startswith(text + piece) for word in self.words)
        ]
        legal += [self.of.eos_token_id] if text in self.words else []
        mass = float(logprobs[legal].logsumexp(0))
        for token in legal:
            added = total + float(logprobs[token]) - mass + weight * mass
            if token == self.of.eos_token_id:
                yield tokens, added
            elif len(tokens) < self.most:
                yield from self._spellings([*tokens, token], text + self.pieces[token], added, weight)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, -0.7])
@pytest.mark.parametrize("seed", range(3))
def test_with_beams_enough_it_finds_the_best_of_all_legal_texts(seed: int, length_penalty: float, weight: float) -> None:
    tokenizer = PieceTokenizer(PIECES, byte_fallback=False)
    engine = GrammarEngine(tokenizer, tokenizer.vocab_size)
    compiled = engine.compile(Constraint(kind="choice", source=json.dumps(WORDS)), trusted=True)
    of = RandomModel(tokenizer, tokenizer.vocab_size, seed=seed, scale=2.0)
    best = Enumerated(of, engine.vocabulary.token_bytes, WORDS, 12).best(weight, length_penalty)
    assert len(best) == len(WORDS)
    for count in (1, 4, len(WORDS)):
        beams = BeamParameters(width=500, count=count, length_penalty=length_penalty, grammar_weight=weight)
        found = search(of, beams, compiled)
        assert [each.text for each in found] == [text for text, _ in best[:count]]
        assert [each.score for each in found] == pytest.approx([score for _, score in best[:count]], abs=1e-4)
