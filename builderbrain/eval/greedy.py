"""Which references a model would decode greedily, without decoding: one pass over many at once, under the grammar's masks.

Greedy decoding gives a text's tokens exactly when every one of them is the most probable legal one after those before it. A
reference that is not found here may still be answered rightly in another way, and has to be decoded.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from builderbrain.grammar.base import CompiledConstraint
from builderbrain.grammar.masks import masks_along
from builderbrain.rail.pair import Pair

_ROWS = 48


@torch.no_grad()
def greedy_matches(
    pair: Pair, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], grammar: CompiledConstraint
) -> list[bool]:
    """For each prompt whether greedy decoding gives its answer, token by token.

    Args:
        prompts, answers: token ids, one of each per row; an answer ends with the end token.
        grammar: of the answers.

    Raises:
        GrammarRefusedError: an answer is not of the grammar.
    """
    right = [False] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]) + len(answers[row]))
    for first in range(0, len(order), _ROWS):
        rows = order[first : first + _ROWS]
        matches = _part(pair, [prompts[row] for row in rows], [answers[row] for row in rows], grammar)
        for row, match in zip(rows, matches, strict=True):
            right[row] = match
    return right


def _part(
    pair: Pair, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], grammar: CompiledConstraint
) -> list[bool]:
    device, vocab_size = pair.host.device, pair.host.vocab_size
    lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    width = max(lengths)
    tokens = torch.full((len(lengths), width), pair.host.tokenizer.eos_token_id, dtype=torch.int64)
    where: list[int] = []
    owner: list[int] = []
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        tokens[row, : lengths[row]] = torch.tensor([*prompt, *answer])
        first = row * width + len(prompt) - 1
        where += range(first, first + len(answer))
        owner += [row] * len(answer)
    output = pair.forward(tokens.to(device), lengths=torch.tensor(lengths, device=device))
    logits = pair.logits(output.fused.flatten(0, 1)[torch.tensor(where, device=device)]).cpu()
    masks = torch.cat([masks_along(grammar, answer, vocab_size) for answer in answers])
    bits = torch.arange(32, dtype=torch.int32)
    legal = ((masks[:, :, None] >> bits) & 1).bool().flatten(1)[:, : logits.shape[-1]]
    best = logits.masked_fill(~legal, -torch.inf).argmax(-1)
    wanted = torch.tensor([token for answer in answers for token in answer])
    wrong = torch.bincount(torch.tensor(owner), weights=(best != wanted).double(), minlength=len(lengths))
    return [count == 0 for count in wrong.tolist()]
