"""Greedy decoding of many prompts at once under one grammar, for whoever asks thousands of goals.

Greedy decoding gives a text's tokens exactly when every one of them is the most probable legal one after those before it. So
guesses are tried first, many in one pass (`follow`), and only where a guess fails is there anything to decode. There, prompts
of equal length run in lockstep over one cache, so that no row has padding; a row that is done is carried along and ignored.
The tokens are those that decoding one prompt after another gives, but where two of them are equally probable to the last
bits, since a batch adds in another order.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from builderbrain.errors import ContextLengthError, GrammarRefusedError, MaskEmptyError
from builderbrain.grammar.base import CompiledConstraint, Matcher
from builderbrain.grammar.masks import masks_along
from builderbrain.rail.pair import Pair

_ROWS, _FOLLOWED = 32, 48
_TRIED = 8
"""Most probable legal tokens that are tried, for those that the matcher refuses though the mask allows them."""


@dataclass(frozen=True, kw_only=True)
class GreedyText:
    """One output: `tokens` without the end token, whether it `finished`, and what the model thought of its choices.

    `logprobs` are the natural logs of the probabilities among the legal tokens, the end token's included; `margins` those of
    the choice minus those of the next best legal token, infinite where there is no other.
    """

    tokens: tuple[int, ...]
    finished: bool
    logprobs: tuple[float, ...]
    margins: tuple[float, ...]


@torch.no_grad()
def follow(
    pair: Pair, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], grammar: CompiledConstraint
) -> list[GreedyText | None]:
    """For each prompt its answer, where greedy decoding gives just that, token by token; else None.

    Args:
        prompts, answers: token ids, one of each per row; an answer ends with the end token.
        grammar: of the answers.

    Raises:
        GrammarRefusedError: an answer is not of the grammar.
    """
    found: list[GreedyText | None] = [None] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]) + len(answers[row]))
    for first in range(0, len(order), _FOLLOWED):
        rows = order[first : first + _FOLLOWED]
        texts = _follow_part(pair, [prompts[row] for row in rows], [answers[row] for row in rows], grammar)
        for row, text in zip(rows, texts, strict=True):
            found[row] = text
    return found


def decode_with_guesses(
    pair: Pair,
    prompts: Sequence[Sequence[int]],
    guesses: Sequence[Sequence[int]],
    grammar: CompiledConstraint,
    *,
    max_tokens: int,
    on_rows: Callable[[int], None] = lambda count: None,
) -> list[GreedyText]:
    """What `decode_greedily` gives, sooner where a guess (ending with the end token) is right. Raises as both."""
    found = follow(pair, prompts, guesses, grammar)
    left = [row for row, text in enumerate(found) if text is None]
    on_rows(len(found) - len(left))
    decoded = iter(decode_greedily(pair, [prompts[row] for row in left], grammar, max_tokens=max_tokens, on_rows=on_rows))
    return [next(decoded) if text is None else text for text in found]


@torch.no_grad()
def decode_greedily(
    pair: Pair,
    prompts: Sequence[Sequence[int]],
    grammar: CompiledConstraint,
    *,
    max_tokens: int,
    on_rows: Callable[[int], None] = lambda count: None,
) -> list[GreedyText]:
    """Decode every prompt at temperature 0.

    Args:
        prompts: token ids, at least one each.
        grammar: of the outputs.
        max_tokens: after so many an output is cut off.
        on_rows: told how many prompts were finished with each batch.

    Raises:
        ContextLengthError: a prompt leaves no room for one token.
    """
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for row, prompt in enumerate(prompts):
        by_length[len(prompt)].append(row)
    longest = max(by_length, default=0)
    if longest >= pair.host.max_length:
        raise ContextLengthError(
            f"expected goals of fewer than {pair.host.max_length} tokens, got {longest}; use shorter goals", field="goal"
        )
    out: dict[int, GreedyText] = {}
    for length, rows in sorted(by_length.items()):
        room = min(max_tokens, pair.host.max_length - length)
        for first in range(0, len(rows), _ROWS):
            some = rows[first : first + _ROWS]
            texts = _lockstep(pair, torch.tensor([list(prompts[row]) for row in some]), grammar, room)
            out |= dict(zip(some, texts, strict=True))
            on_rows(len(some))
    return [out[row] for row in range(len(prompts))]


def _follow_part(
    pair: Pair, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], grammar: CompiledConstraint
) -> list[GreedyText | None]:
    device, vocab_size = pair.host.device, pair.host.vocab_size
    lengths = [len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True)]
    width = max(lengths)
    tokens = torch.full((len(lengths), width), pair.host.tokenizer.eos_token_id, dtype=torch.int64)
    where: list[int] = []
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        tokens[row, : lengths[row]] = torch.tensor([*prompt, *answer])
        first = row * width + len(prompt) - 1
        where += range(first, first + len(answer))
    output = pair.forward(tokens.to(device), lengths=torch.tensor(lengths, device=device))
    logits = pair.logits(output.fused.flatten(0, 1)[torch.tensor(where, device=device)]).float().cpu()
    masks = torch.cat([masks_along(grammar, answer, vocab_size) for answer in answers])
    best = _among_legal(logits, masks).topk(2)
    texts: list[GreedyText | None] = []
    at = 0
    for answer in answers:
        end = at + len(answer)
        same = best.indices[at:end, 0].tolist() == list(answer)
        (firsts, seconds) = best.values[at:end].T.tolist()
        margins = tuple(one - other for one, other in zip(firsts, seconds, strict=True))
        text = GreedyText(tokens=tuple(answer[:-1]), finished=True, logprobs=tuple(firsts), margins=margins)
        texts.append(text if same else None)
        at = end
    return texts


def _among_legal(logits: Tensor, masks: Tensor) -> Tensor:
    """Log-probabilities [N, V] among the legal tokens; masks int32 [N, words]."""
    legal = ((masks[:, :, None] >> torch.arange(32, dtype=torch.int32)) & 1).bool().flatten(1)[:, : logits.shape[-1]]
    return logits.masked_fill(~legal, -torch.inf).log_softmax(-1)


class _Row:
    """One output in progress."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.margins: list[float] = []
        self.finished = self.over = False

    def text(self) -> GreedyText:
        return GreedyText(
            tokens=tuple(self.tokens), finished=self.finished, logprobs=tuple(self.logprobs), margins=tuple(self.margins)
        )


def _lockstep(pair: Pair, prompts: Tensor, grammar: CompiledConstraint, room: int) -> list[GreedyText]:
    """`prompts` int64 [B, T]."""
    host, end = pair.host, pair.host.tokenizer.eos_token_id
    rows = [_Row(grammar.matcher()) for _ in range(prompts.shape[0])]
    cache = pair.new_cache()
    tokens = prompts.to(host.device)
    masks = torch.zeros(len(rows), (host.vocab_size + 31) // 32, dtype=torch.int32)
    for _ in range(room):
        output = pair.forward(tokens, cache=cache)
        logits = pair.logits(output.fused[:, -1]).float().cpu()
        masks.zero_()
        for row, mask in zip(rows, masks, strict=True):
            if not row.over:
                _fill(row, mask)
        best = _among_legal(logits, masks).topk(_TRIED)
        chosen = [end] * len(rows)
        for number, row in enumerate(rows):
            if not row.over:
                chosen[number] = _take(row, best.indices[number].tolist(), best.values[number].tolist(), end)
        if all(row.over for row in rows):
            break
        tokens = torch.tensor(chosen, device=host.device)[:, None]
    for row in rows:
        if not row.over:
            _end_where_forced(row, masks[0], end)
    return [row.text() for row in rows]


def _fill(row: _Row, mask: Tensor) -> None:
    try:
        row.matcher.fill_mask(mask)
    except MaskEmptyError:
        row.over = True


def _end_where_forced(row: _Row, mask: Tensor, end: int) -> None:
    """An output that has no room left is finished nevertheless when nothing but its end is legal."""
    _fill(row, mask)
    only = torch.zeros_like(mask)
    only[end // 32] = torch.tensor(1 << (end % 32), dtype=torch.int64).to(torch.int32)
    if not row.over and torch.equal(mask, only):
        _take(row, [end], [0.0], end)


def _take(row: _Row, tokens: Sequence[int], logprobs: Sequence[float], end: int) -> int:
    """Advance by the first of `tokens` that the matcher accepts; a row that has none is over, unfinished."""
    for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=True)):
        if logprob == -math.inf:
            break
        try:
            row.matcher.accept(token)
        except GrammarRefusedError:  # a rule that costs too much to ask of every token of a mask
            continue
        row.logprobs.append(logprob)
        row.margins.append(logprob - logprobs[place + 1] if place + 1 < len(logprobs) else math.inf)
        if token == end:
            row.finished = row.over = True
        else:
            row.tokens.append(token)
        return token
    row.over = True
    return end
