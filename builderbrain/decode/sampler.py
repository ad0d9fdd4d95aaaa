"""Rows of `bbkernels.masked_sample`: the parameters, the counts and the logprobs of outputs, drawn alone or together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bbkernels.masked_sample import Penalties, SampleStatus, Truncation, masked_sample, unpack_bitmask
from builderbrain.decode.base import SamplingParameters, TokenLogprob
from builderbrain.errors import InvalidRequestError, MaskEmptyError, NonFiniteLogitsError


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the token at `position` of one output is drawn with: int32 counts [V] where there are penalties, a mask int32
    [ceil(V / 32)] under a constraint."""

    parameters: SamplingParameters
    seed: int
    position: int
    bitmask: Tensor | None
    counts: tuple[Tensor, Tensor] | None
    """Of the prompt's tokens and of the output's."""
    bias: tuple[Tensor, Tensor] | None = None
    """Token ids int64 [E], and float32 [E] that is added to their logits before everything else; -inf forbids a token."""


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A sampled token, its logprob within the allowed set, and the log-mass of that set (minus the grammar energy)."""

    token: int
    logprob: float
    allowed_log_mass: float
    status: SampleStatus = SampleStatus.OK


def draw_rows(logits: Tensor, rows: Sequence[Row]) -> list[Draw]:
    """Draw one token per row of logits [S, V], together; what a row draws does not depend on the others.

    A row from which nothing can be drawn has its reason as `status`; see `checked`.
    """
    # Rows that need no mask, cuts, penalties or bias pay for none.
    groups: dict[tuple[bool, ...], list[int]] = {}
    for place, row in enumerate(rows):
        kind = (row.bitmask is not None, _cuts(row.parameters), row.counts is not None, row.bias is not None)
        groups.setdefault(kind, []).append(place)
    if len(groups) == 1:
        return _draw_group(logits, rows)
    found: list[Draw | None] = [None] * len(rows)
    for places in groups.values():
        drawn = _draw_group(logits[torch.tensor(places, device=logits.device)], [rows[place] for place in places])
        for place, draw in zip(places, drawn, strict=True):
            found[place] = draw
    return [draw for draw in found if draw is not None]


def _cuts(parameters: SamplingParameters) -> bool:
    return (parameters.top_k, parameters.top_p, parameters.min_p) != (0, 1, 0)


def _draw_group(logits: Tensor, rows: Sequence[Row]) -> list[Draw]:
    """As `draw_rows`, for rows that need the same arguments."""
    device, asked = logits.device, [row.parameters for row in rows]

    def reals(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    def integers(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    if rows[0].bias is not None:
        logits = _biased(logits, rows)
    truncation = penalties = None
    if _cuts(asked[0]):
        truncation = Truncation(
            min_p=reals([p.min_p for p in asked]),
            top_k=integers([p.top_k for p in asked]),
            top_p=reals([p.top_p for p in asked]),
        )
    counts = [row.counts for row in rows if row.counts is not None]
    if counts:
        prompts, outputs = (torch.stack(part).to(device) for part in zip(*counts, strict=True))
        penalties = Penalties(
            repetition=reals([p.repetition_penalty for p in asked]),
            presence=reals([p.presence_penalty for p in asked]),
            frequency=reals([p.frequency_penalty for p in asked]),
            prompt_counts=prompts,
            output_counts=outputs,
        )
    masks = [row.bitmask for row in rows if row.bitmask is not None]
    soft = bool(masks) and any(p.energy_scale is not None for p in asked)
    result = masked_sample(
        logits,
        temperature=reals([row.parameters.temperature_at(row.position) for row in rows]),
        seed=integers([row.seed for row in rows]),
        position=integers([row.position for row in rows]),
        bitmask=torch.stack(masks).to(device) if masks else None,
        illegal_penalty=reals([torch.inf if p.energy_scale is None else p.energy_scale for p in asked]) if soft else None,
        truncation=truncation,
        penalties=penalties,
    )
    parts = (result.token, result.logprob, result.allowed_log_mass, result.status)
    return [
        Draw(token=token, logprob=logprob, allowed_log_mass=mass, status=SampleStatus(status))
        for token, logprob, mass, status in zip(*(part.tolist() for part in parts), strict=True)
    ]


def _biased(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """Logits [S, V] as float32, with the bias of each row added. A copy: the model's own may be read again."""
    found = [row.bias for row in rows if row.bias is not None]
    places = torch.repeat_interleave(torch.arange(len(found)), torch.tensor([len(ids) for ids, _ in found]))
    ids, values = (torch.cat(part).to(logits.device) for part in zip(*found, strict=True))
    return logits.to(torch.float32, copy=True).index_put_((places.to(logits.device), ids), values, accumulate=True)


def checked(draw: Draw, row: Row) -> Draw:
    """The draw of a row.

    Raises:
        MaskEmptyError: the mask leaves no token of positive probability.
        NonFiniteLogitsError: the logits hold NaN or +inf.
        InvalidRequestError: a sampling parameter is outside its range.
    """
    if draw.status is SampleStatus.INVALID:
        raise InvalidRequestError(f"expected sampling parameters within their ranges (see masked_sample), got {row.parameters}")
    if draw.status is SampleStatus.EMPTY:
        raise MaskEmptyError("expected a legal next token of positive probability, got none; loosen the constraint")
    if draw.status is SampleStatus.NON_FINITE:
        raise NonFiniteLogitsError(
            f"expected finite logits, got NaN or infinity at output token {row.position}; use another version of the weights"
        )
    return draw


class Sampler:
    """The rows of one output. Holds the counts that penalties need; `count` tokens as they are kept.

    `ends` are the tokens that `min_tokens` of the parameters keeps back.
    """

    def __init__(
        self,
        parameters: SamplingParameters,
        prompt_tokens: Sequence[int],
        vocab_size: int,
        ends: frozenset[int] = frozenset(),
    ) -> None:
        self._parameters = parameters
        self._vocab_size = vocab_size
        # Any integer seed, as the int64 with the same low bits.
        self._seed = (parameters.seed + (1 << 63)) % (1 << 64) - (1 << 63)
        self._counts: tuple[Tensor, Tensor] | None = None
        if (parameters.repetition_penalty, parameters.presence_penalty, parameters.frequency_penalty) != (1, 0, 0):
            ids = torch.tensor(list(prompt_tokens), dtype=torch.int64)
            prompt = torch.bincount(ids, minlength=vocab_size)[:vocab_size].to(torch.int32)
            self._counts = (prompt, torch.zeros(vocab_size, dtype=torch.int32))
        self._bias = _additions(parameters.logit_bias)
        self._late_bias = self._bias
        if parameters.min_tokens:
            self._bias = _additions([*parameters.logit_bias, *((end, -torch.inf) for end in sorted(ends))])
            self._no_ends = np.full((vocab_size + 31) // 32, -1, dtype=np.int32)
            for end in ends:
                self._no_ends[end // 32] &= ~np.uint32(1 << (end % 32)).view(np.int32)

    def count(self, token: int, times: int = 1) -> None:
        """Count a token that was kept; -1 times for one that was taken back."""
        if self._counts is not None:
            self._counts[1][token] += times

    def row(self, bitmask: Tensor | None, position: int) -> Row:
        """What the token at `position` is drawn with."""
        bias = self._bias if self._keeps_ends_back(bitmask, position) else self._late_bias
        return Row(
            parameters=self._parameters,
            seed=self._seed,
            position=position,
            bitmask=bitmask,
            counts=self._counts,
            bias=bias,
        )

    def _keeps_ends_back(self, bitmask: Tensor | None, position: int) -> bool:
        """Whether the output may not end yet. Under a hard mask that allows nothing but the end it may: the constraint wins."""
        if position >= self._parameters.min_tokens:
            return False
        if bitmask is None or self._parameters.energy_scale is not None:
            return True
        return bool((bitmask.numpy() & self._no_ends).any())

    def draw(self, logits: Tensor, bitmask: Tensor | None, position: int) -> Draw:
        """Draw the token at `position` from logits [V] and a mask int32 [ceil(V / 32)]; see `checked` for what it raises."""
        row = self.row(bitmask, position)
        return checked(draw_rows(logits[None], [row])[0], row)

    def logprob(self, draw: Draw, logits: Tensor, bitmask: Tensor | None, position: int) -> TokenLogprob | None:
        """The draw at `position` with the alternatives that the request asks for, best first."""
        wanted = self._parameters.logprobs
        if wanted is None:
            return None
        row = self.row(bitmask, position)
        scores = logits.to(torch.float32) if row.bias is None else _biased(logits[None], [row])[0]
        if bitmask is not None:
            allowed = unpack_bitmask(bitmask[None].to(logits.device), self._vocab_size)[0]
            scale = self._parameters.energy_scale
            scores = torch.where(allowed, scores, scores - (torch.inf if scale is None else scale))
        best = scores.log_softmax(-1).topk(min(wanted, self._vocab_size))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        top = tuple((token, value) for token, value in pairs if value > -torch.inf)
        return TokenLogprob(token=draw.token, logprob=draw.logprob, top=top)


def _additions(pairs: Sequence[tuple[int, float]]) -> tuple[Tensor, Tensor] | None:
    """Ids int64 [E] and values float32 [E]; None where there are none."""
    if not pairs:
        return None
    ids, values = zip(*pairs, strict=True)
    return torch.tensor(ids, dtype=torch.int64), torch.tensor(values, dtype=torch.float32)
