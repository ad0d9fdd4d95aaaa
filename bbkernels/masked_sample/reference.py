"""Masked sampling in plain PyTorch: the specification, the CPU path and the test oracle.

Letters: B rows, V vocabulary. The draw is the Gumbel-max trick: argmax over z / T + g, where g is standard Gumbel noise.
Noise element v of a row is a hash of (seed, position, v) and of nothing else, so a row draws the same token whatever
shares its batch, and a token that is vetoed after the draw can be masked and the row drawn again with the same noise:
the result is the draw from the smaller set.

The hash is splitmix64 (Steele, Lea, Flood 2014), used as a counter-based generator: no state, three multiplications, the
same in 64-bit integer arithmetic anywhere. PyTorch's int64 wraps like uint64; only the right shift must be made logical.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor


class SampleStatus(IntEnum):
    """Why a row has, or has not, a token."""

    OK = 0
    EMPTY = 1
    """No allowed token has a logit above -inf."""
    NON_FINITE = 2
    """The row holds NaN or +inf, at an allowed token or not: the model that made it is broken."""


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """Which of the allowed tokens may be drawn; each acts on the tempered distribution that the one before left.

    Ties are kept together, so the kept set does not depend on the order of ids.
    """

    min_p: Tensor
    """float32 [B] in [0, 1]: drops tokens less likely than `min_p` times the likeliest; 0 drops none."""
    top_k: Tensor
    """int64 [B]: keeps tokens at least as likely as the k-th; 0 keeps all."""
    top_p: Tensor
    """float32 [B] in (0, 1]: drops a token when the tokens likelier than it already have mass `top_p`; 1 drops none."""


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """What is taken from a token's logit because it occurred; counts are int32 [B, V], strengths float32 [B].

    repetition: logits of tokens in prompt or output are divided by it when positive, else multiplied; 1 is off.
    presence, frequency: taken once, or per occurrence, from tokens of the output; 0 is off.
    """

    repetition: Tensor
    presence: Tensor
    frequency: Tensor
    prompt_counts: Tensor
    output_counts: Tensor


@dataclass(frozen=True, kw_only=True)
class SampleResult:
    """One draw per row, each field [B]. Log-probabilities are natural and float32."""

    token: Tensor
    """int64; -1 unless status is OK."""
    logprob: Tensor
    """Under the given logits restricted to the allowed set, at temperature 1, before penalties and truncation; NaN
    unless status is OK."""
    allowed_log_mass: Tensor
    """Log of the probability that the unmasked distribution gives to the allowed set, <= 0: minus the grammar energy.
    -inf when EMPTY, NaN when NON_FINITE."""
    status: Tensor
    """int64, a `SampleStatus`."""


def _shift_right(value: Tensor, count: int) -> Tensor:
    """Logical right shift of int64 bits."""
    return (value >> count) & ((1 << (64 - count)) - 1)


def _splitmix64(value: Tensor) -> Tensor:
    """Finaliser of splitmix64: a bijection of int64 bits."""
    value = (value ^ _shift_right(value, 30)) * (0xBF58476D1CE4E5B9 - (1 << 64))
    value = (value ^ _shift_right(value, 27)) * (0x94D049BB133111EB - (1 << 64))
    return value ^ _shift_right(value, 31)


_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)


def gumbel_noise(seed: Tensor, position: Tensor, vocab_size: int) -> Tensor:
    """Standard Gumbel noise, float32 [B, vocab_size], from int64 [B] seeds and positions.

    With w = (h + 1/2) / 2^32 for the top 32 bits h of the hash, -log(-log1p(-w)) is exact where it matters: the largest
    values come from the smallest w, which float32 holds with full relative precision.
    """
    key = _splitmix64(_splitmix64(seed + _GOLDEN) + position * _GOLDEN)
    counter = torch.arange(1, vocab_size + 1, device=seed.device, dtype=torch.int64)
    bits = _shift_right(_splitmix64(key[:, None] + counter * _GOLDEN), 32)
    uniform = (bits.to(torch.float64) + 0.5).mul(2.0**-32).to(torch.float32).clamp(max=1.0 - 2.0**-24)
    return -torch.log(-torch.log1p(-uniform))


def unpack_bitmask(bitmask: Tensor, vocab_size: int) -> Tensor:
    """bool [B, vocab_size] from int32 [B, ceil(vocab_size / 32)]; bit t % 32 of word t // 32 is token t."""
    shifts = torch.arange(32, device=bitmask.device, dtype=torch.int32)
    bits = (bitmask[:, :, None] >> shifts) & 1
    return bits.reshape(bitmask.shape[0], -1)[:, :vocab_size].to(torch.bool)


def penalise(logits: Tensor, penalties: Penalties) -> Tensor:
    """Logits [B, V] less the penalties of tokens that occurred."""
    output = penalties.output_counts
    repetition = penalties.repetition[:, None]
    repeated = torch.where(logits > 0, logits / repetition, logits * repetition)
    logits = torch.where((output > 0) | (penalties.prompt_counts > 0), repeated, logits)
    logits = logits - penalties.frequency[:, None] * output
    return logits - penalties.presence[:, None] * (output > 0)


def truncate(scores: Tensor, truncation: Truncation) -> Tensor:
    """Tempered scores [B, V] with -inf at the tokens that min-p, top-k and top-p drop."""
    floor = scores.amax(-1, keepdim=True) + truncation.min_p[:, None].log()
    scores = scores.masked_fill(scores < floor, -torch.inf)
    ordered = scores.sort(dim=-1, descending=True).values
    last = torch.where(truncation.top_k > 0, truncation.top_k, scores.shape[-1]).clamp(max=scores.shape[-1]) - 1
    floor = ordered.gather(-1, last[:, None])
    scores = scores.masked_fill(scores < floor, -torch.inf)
    ordered = ordered.masked_fill(ordered < floor, -torch.inf)
    before = ordered.softmax(-1).cumsum(-1).roll(1, -1)
    before[:, 0] = 0.0
    kept = (before < truncation.top_p[:, None]) | (truncation.top_p[:, None] >= 1.0)
    floor = ordered.masked_fill(~kept, torch.inf).amin(-1, keepdim=True)
    return scores.masked_fill(scores < floor, -torch.inf)


def masked_sample_reference(
    logits: Tensor,
    *,
    bitmask: Tensor | None,
    temperature: Tensor,
    seed: Tensor,
    position: Tensor,
    truncation: Truncation | None,
    penalties: Penalties | None,
) -> SampleResult:
    """See `bbkernels.masked_sample.masked_sample`; arguments are already checked."""
    rows, vocab_size = logits.shape
    logits = logits.to(torch.float32)
    broken = (logits.isnan() | (logits == torch.inf)).any(-1)
    logits = torch.where(broken[:, None], torch.zeros_like(logits), logits)
    masked = logits
    if bitmask is not None:
        masked = logits.masked_fill(~unpack_bitmask(bitmask, vocab_size), -torch.inf)
    empty = (masked == -torch.inf).all(-1)
    mass = masked.logsumexp(-1)
    log_mass = torch.where(empty, -torch.inf, mass - logits.logsumexp(-1)).clamp(max=0.0)

    scores = masked if penalties is None else penalise(masked, penalties)
    greedy = temperature <= 0
    scores = scores / torch.where(greedy, torch.ones_like(temperature), temperature)[:, None]
    if truncation is not None:
        scores = truncate(scores, truncation)
    if not bool(greedy.all()):
        noise = gumbel_noise(seed, position, vocab_size)
        scores = torch.where(greedy[:, None] | (scores == -torch.inf), scores, scores + noise)
    token = scores.argmax(-1)

    logprob = masked.gather(-1, token[:, None]).squeeze(-1) - mass
    failed = broken | empty
    status = torch.full((rows,), int(SampleStatus.OK), device=logits.device, dtype=torch.int64)
    status = status.masked_fill(empty, int(SampleStatus.EMPTY)).masked_fill(broken, int(SampleStatus.NON_FINITE))
    return SampleResult(
        token=token.masked_fill(failed, -1),
        logprob=logprob.masked_fill(failed, torch.nan),
        allowed_log_mass=log_mass.masked_fill(broken, torch.nan),
        status=status,
    )
