"""The public function of masked sampling: checks of shapes, one operator, and what runs behind it.

Values of parameters are looked at row by row where the row is sampled, and a wrong one is the row's status: a look from
here would make the host wait for the device, and one request's mistake would refuse the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bbkernels.checks import FLOAT32, FLOATING, INT32, INT64, expect_tensor, expect_type
from bbkernels.dispatch import launches_kernels, native_library, operator
from bbkernels.masked_sample.launch import launch
from bbkernels.masked_sample.native import sample_on_cpu, sample_on_cuda, takes
from bbkernels.masked_sample.reference import Penalties, SampleResult, Truncation, masked_sample_reference
from bbkernels.native import Library


@torch.no_grad()
def masked_sample(
    logits: Tensor,
    *,
    temperature: Tensor,
    seed: Tensor,
    position: Tensor,
    bitmask: Tensor | None = None,
    illegal_penalty: Tensor | None = None,
    truncation: Truncation | None = None,
    penalties: Penalties | None = None,
) -> SampleResult:
    """Draw one token per row; changes none of its arguments.

    Order: mask or illegal penalty, penalties, temperature, min-p, top-k, top-p, draw. A drawn token has a logit above -inf
    and is allowed by `bitmask`, unless the row's illegal penalty is finite. A row where no token is left, that holds NaN or
    +inf, or one of whose parameters is outside its range has token -1 and says why in `status`. The token is the same on
    every device, bit for bit; nothing waits for the device.

    Args:
        logits: floating [B, V], V <= 2^22; -inf marks a token of probability 0. Taken as float32.
        temperature: float32 [B], >= 0, finite; below 2^-20 it is argmax (the lowest id of a tie) and uses no noise.
        seed: int64 [B]; with `position` the only source of randomness.
        position: int64 [B]; index of the token to be drawn within its output.
        bitmask: int32 [B, ceil(V / 32)]; bit t % 32 of word t // 32 allows token t. None allows all.
        illegal_penalty: float32 [B], >= 0, in nats: what is taken from the logits of tokens that `bitmask` does not allow
            (soft energy). inf, or None for all rows, forbids them.
        truncation: min-p, top-k and top-p per row; None keeps all.
        penalties: repetition, presence and frequency per row; None for none.

    Raises:
        TypeError: an argument is no tensor, or of another class.
        ValueError: a shape, dtype or device is not as above, or there is an illegal penalty and no bitmask.
    """
    expect_tensor("logits", logits, FLOATING, ("B", "V"))
    rows, vocab_size = logits.shape
    if not 0 < vocab_size <= 1 << 22:
        raise ValueError(f"expected logits [B, V] with V in 1..2^22, got {list(logits.shape)}")
    beside = ("logits", logits)
    expect_tensor("temperature", temperature, FLOAT32, (rows,), beside=beside)
    expect_tensor("seed", seed, INT64, (rows,), beside=beside)
    expect_tensor("position", position, INT64, (rows,), beside=beside)
    if bitmask is not None:
        expect_tensor("bitmask", bitmask, INT32, (rows, (vocab_size + 31) // 32), beside=beside)
    if illegal_penalty is not None:
        expect_tensor("illegal_penalty", illegal_penalty, FLOAT32, (rows,), beside=beside)
        if bitmask is None:
            raise ValueError("expected bitmask with illegal_penalty, got None; nothing is illegal without one")
    cuts: tuple[Tensor | None, ...] = (None,) * 3
    if truncation is not None:
        expect_type("truncation", truncation, Truncation)
        cuts = (truncation.min_p, truncation.top_k, truncation.top_p)
        expect_tensor("min_p", truncation.min_p, FLOAT32, (rows,), beside=beside)
        expect_tensor("top_k", truncation.top_k, INT64, (rows,), beside=beside)
        expect_tensor("top_p", truncation.top_p, FLOAT32, (rows,), beside=beside)
    strengths: tuple[Tensor | None, ...] = (None,) * 5
    if penalties is not None:
        expect_type("penalties", penalties, Penalties)
        strengths = (
            penalties.repetition, penalties.presence, penalties.frequency, penalties.prompt_counts, penalties.output_counts,
        )  # fmt: skip
        for name in ("repetition", "presence", "frequency"):
            expect_tensor(name, getattr(penalties, name), FLOAT32, (rows,), beside=beside)
        for name in ("prompt_counts", "output_counts"):
            expect_tensor(name, getattr(penalties, name), INT32, (rows, vocab_size), beside=beside)
    rest = (*cuts, *strengths)
    if logits.device.type == "cpu" and not torch.compiler.is_compiling():
        # An operator's way costs a processor more than the draw, and only a graph needs it.
        with torch.no_grad():
            token, logprob, log_mass, status = _sample(logits, temperature, seed, position, bitmask, illegal_penalty, *rest)
    else:
        token, logprob, log_mass, status = torch.ops.bbkernels.masked_sample(
            logits, temperature, seed, position, bitmask, illegal_penalty, *rest
        )
    return SampleResult(token=token, logprob=logprob, allowed_log_mass=log_mass, status=status)


def _sample(
    logits: Tensor,
    temperature: Tensor,
    seed: Tensor,
    position: Tensor,
    bitmask: Tensor | None,
    illegal_penalty: Tensor | None,
    min_p: Tensor | None,
    top_k: Tensor | None,
    top_p: Tensor | None,
    repetition: Tensor | None,
    presence: Tensor | None,
    frequency: Tensor | None,
    prompt_counts: Tensor | None,
    output_counts: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    truncation = penalties = None
    if min_p is not None and top_k is not None and top_p is not None:
        truncation = Truncation(min_p=min_p.contiguous(), top_k=top_k.contiguous(), top_p=top_p.contiguous())
    if repetition is not None and presence is not None and frequency is not None:
        if prompt_counts is None or output_counts is None:
            raise ValueError("penalties: expected counts of the prompt and of the output with the strengths, got None")
        penalties = Penalties(
            repetition=repetition.contiguous(),
            presence=presence.contiguous(),
            frequency=frequency.contiguous(),
            prompt_counts=prompt_counts.contiguous(),
            output_counts=output_counts.contiguous(),
        )
    library = native_library(logits) if takes(logits) else None
    sample: Callable[..., SampleResult] = masked_sample_reference
    if library is not None and logits.is_cuda:
        sample = partial(_sample_on_cuda, library)
    elif library is not None:
        sample = partial(sample_on_cpu, library)
    elif launches_kernels(logits):
        sample = launch
    result = sample(
        logits if logits.stride(1) == 1 else logits.contiguous(),
        temperature=temperature.contiguous(),
        seed=seed.contiguous(),
        position=position.contiguous(),
        bitmask=None if bitmask is None else bitmask.contiguous(),
        illegal_penalty=None if illegal_penalty is None else illegal_penalty.contiguous(),
        truncation=truncation,
        penalties=penalties,
    )
    return result.token, result.logprob, result.allowed_log_mass, result.status


def _sample_on_cuda(library: Library, logits: Tensor, **arguments: Any) -> SampleResult:
    return sample_on_cuda(library, logits, **arguments, stream=torch.cuda.current_stream().cuda_stream)


_operator = operator("bbkernels::masked_sample")(_sample)


@_operator.register_fake
def _(
    logits: Tensor,
    temperature: Tensor,
    seed: Tensor,
    position: Tensor,
    bitmask: Tensor | None,
    illegal_penalty: Tensor | None,
    min_p: Tensor | None,
    top_k: Tensor | None,
    top_p: Tensor | None,
    repetition: Tensor | None,
    presence: Tensor | None,
    frequency: Tensor | None,
    prompt_counts: Tensor | None,
    output_counts: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        torch.empty_like(seed, memory_format=torch.contiguous_format),
        torch.empty_like(temperature, memory_format=torch.contiguous_format),
        torch.empty_like(temperature, memory_format=torch.contiguous_format),
        torch.empty_like(seed, memory_format=torch.contiguous_format),
    )
