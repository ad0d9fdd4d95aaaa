"""The public function of masked sampling: checks, then one pass.

The reference serves every device; a device kernel must give the same tokens, because the noise is a fixed hash.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bbkernels.masked_sample.reference import Penalties, SampleResult, Truncation, masked_sample_reference


def _check(name: str, value: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
    if tuple(value.shape) != shape or value.dtype != dtype or value.device != device:
        raise ValueError(
            f"{name}: expected {dtype} {list(shape)} on {device}, got {value.dtype} {list(value.shape)} on {value.device}"
        )


@torch.no_grad()
def masked_sample(
    logits: Tensor,
    *,
    temperature: Tensor,
    seed: Tensor,
    position: Tensor,
    bitmask: Tensor | None = None,
    truncation: Truncation | None = None,
    penalties: Penalties | None = None,
) -> SampleResult:
    """Draw one token per row; changes none of its arguments.

    Order: mask, penalties, temperature, min-p, top-k, top-p, draw. A drawn token is always allowed by `bitmask` and has
    a logit above -inf; a row where none is, or that holds NaN or +inf, has token -1 and says why in `status`.

    Args:
        logits: floating [B, V]; -inf marks a token of probability 0.
        temperature: float32 [B], >= 0; 0 is argmax (the lowest id of a tie) and uses no noise.
        seed: int64 [B]; with `position` the only source of randomness.
        position: int64 [B]; index of the token to be drawn within its output.
        bitmask: int32 [B, ceil(V / 32)]; bit t % 32 of word t // 32 allows token t. None allows all.
        truncation: min-p, top-k and top-p per row; None keeps all.
        penalties: repetition, presence and frequency per row; None for none.

    Raises:
        ValueError: a shape, dtype, device or range is not as above.
    """
    if logits.dim() != 2 or not logits.is_floating_point() or logits.shape[1] == 0:
        raise ValueError(f"logits: expected floating [B, V] with V > 0, got {logits.dtype} {list(logits.shape)}")
    rows, vocab_size = logits.shape
    device = logits.device
    _check("temperature", temperature, (rows,), torch.float32, device)
    _check("seed", seed, (rows,), torch.int64, device)
    _check("position", position, (rows,), torch.int64, device)
    if not bool((temperature >= 0).all()):
        raise ValueError("temperature: expected values >= 0")
    if bitmask is not None:
        _check("bitmask", bitmask, (rows, (vocab_size + 31) // 32), torch.int32, device)
    if truncation is not None:
        _check("top_k", truncation.top_k, (rows,), torch.int64, device)
        _check("top_p", truncation.top_p, (rows,), torch.float32, device)
        _check("min_p", truncation.min_p, (rows,), torch.float32, device)
        if not bool(((truncation.top_p > 0) & (truncation.top_p <= 1) & (truncation.top_k >= 0)).all()):
            raise ValueError("truncation: expected 0 < top_p <= 1 and top_k >= 0")
        if not bool(((truncation.min_p >= 0) & (truncation.min_p <= 1)).all()):
            raise ValueError("truncation: expected 0 <= min_p <= 1")
    if penalties is not None:
        for name in ("repetition", "presence", "frequency"):
            _check(name, getattr(penalties, name), (rows,), torch.float32, device)
        for name in ("prompt_counts", "output_counts"):
            _check(name, getattr(penalties, name), (rows, vocab_size), torch.int32, device)
        if not bool((penalties.repetition > 0).all()):
            raise ValueError("penalties: expected repetition > 0")
    return masked_sample_reference(
        logits,
        bitmask=bitmask,
        temperature=temperature,
        seed=seed,
        position=position,
        truncation=truncation,
        penalties=penalties,
    )
