"""Rows of `bbkernels.masked_sample`: the parameters, the counts and the logprobs of outputs, drawn alone or together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    # Rows that need no mask, cuts or penalties pay for none.
    groups: dict[tuple[bool, bool, bool], list[int]] = {}
    for place, row in enumerate(rows):
        kind = (row.bitmask is not None, _cuts(row.parameters), row.counts is not None)
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
    result = masked_sample(
        logits,
        temperature=reals([p.temperature for p in asked]),
        seed=integers([row.seed for row in rows]),
        position=integers([row.position for row in rows]),
        bitmask=torch.stack(masks).to(device) if masks else None,
        truncation=truncation,
        penalties=penalties,
    )
    parts = (result.token, result.logprob, result.allowed_log_mass, result.status)
    return [
        Draw(token=token, logprob=logprob, allowed_log_mass=mass, status=SampleStatus(status))
        for token, logprob, mass, status in zip(*(part.tolist() for part in parts), strict=True)
    ]


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
    """The rows of one output. Holds the counts that penalties need; `count` tokens as they are kept."""

    def __init__(self, parameters: SamplingParameters, prompt_tokens: Sequence[int], vocab_size: int) -> None:
        self._parameters = parameters
        self._vocab_size = vocab_size
        # Any integer seed, as the int64 with the same low bits.
        self._seed = (parameters.seed + (1 << 63)) % (1 << 64) - (1 << 63)
        self._counts: tuple[Tensor, Tensor] | None = None
        if (parameters.repetition_penalty, parameters.presence_penalty, parameters.frequency_penalty) != (1, 0, 0):
            ids = torch.tensor(list(prompt_tokens), dtype=torch.int64)
            prompt = torch.bincount(ids, minlength=vocab_size)[:vocab_size].to(torch.int32)
            self._counts = (prompt, torch.zeros(vocab_size, dtype=torch.int32))

    def count(self, token: int, times: int = 1) -> None:
        """Count a token that was kept; -1 times for one that was taken back."""
        if self._counts is not None:
            self._counts[1][token] += times

    def row(self, bitmask: Tensor | None, position: int) -> Row:
        """What the token at `position` is drawn with."""
        return Row(parameters=self._parameters, seed=self._seed, position=position, bitmask=bitmask, counts=self._counts)

    def draw(self, logits: Tensor, bitmask: Tensor | None, position: int) -> Draw:
        """Draw the token at `position` from logits [V] and a mask int32 [ceil(V / 32)]; see `checked` for what it raises."""
        row = self.row(bitmask, position)
        return checked(draw_rows(logits[None], [row])[0], row)

    def logprob(self, draw: Draw, logits: Tensor, bitmask: Tensor | None) -> TokenLogprob | None:
        """The draw with the alternatives that the request asks for, best first."""
        wanted = self._parameters.logprobs
        if wanted is None:
            return None
        scores = logits.to(torch.float32)
        if bitmask is not None:
            allowed = unpack_bitmask(bitmask[None].to(logits.device), self._vocab_size)[0]
            scores = scores.masked_fill(~allowed, -torch.inf)
        best = scores.log_softmax(-1).topk(min(wanted, self._vocab_size))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        top = tuple((token, value) for token, value in pairs if value > -torch.inf)
        return TokenLogprob(token=draw.token, logprob=draw.logprob, top=top)
