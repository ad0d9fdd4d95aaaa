"""Public entry of `cross_attention`."""

from __future__ import annotations

from torch import Tensor

from bbkernels.checks import expect_dimensions, expect_last_dimension
from bbkernels.cross_attention.reference import cross_attention_reference


def cross_attention(
    query: Tensor, latent: Tensor, memory: Tensor, memory_lengths: Tensor, *, offset: int = 0, theta: float = 10_000.0
) -> Tensor:
    """Attend causally from builder positions into base states, and freely into memory tokens.

    `softmax(rot(q) [m; rot(z)]^T / sqrt(D)) [m; z]`, with latent z, memory m, query i seeing keys 0..offset+i.

    Args:
        query: [B, T, H, D], queries at positions offset .. offset + T - 1.
        latent: [B, S, G, D] with H a multiple of G and S = offset + T; shared by keys and values.
        memory: [B, M, G, D]; M may be 0.
        memory_lengths: int64 [B], how many memory tokens of a row are real.
        offset: position of the first query, 0 when nothing is cached.
        theta: base of the rotary frequencies.

    Returns:
        [B, T, H, D].

    Raises:
        ValueError: shapes do not agree.
    """
    expect_dimensions(query, 4, "query", "[B, T, H, D]")
    for value, name in ((latent, "latent"), (memory, "memory")):
        expect_dimensions(value, 4, name, "[B, S, G, D]")
        expect_last_dimension(value, query.shape[3], name)
    if query.shape[2] % latent.shape[2]:
        raise ValueError(f"expected query heads to be a multiple of latent heads {latent.shape[2]}, got {query.shape[2]}")
    if latent.shape[1] != offset + query.shape[1]:
        raise ValueError(f"expected {offset + query.shape[1]} latents (offset + queries), got {latent.shape[1]}")
    return cross_attention_reference(query, latent, memory, memory_lengths, offset=offset, theta=theta)
