"""Attention of T tokens to themselves and those before them, as one node of autograd that keeps no probabilities.

    attend_memory    softmax(rot(q) [m; rot(z)]^T / sqrt(D)) [m; z], as `bbkernels.cross_attention`, z latents, m memory
    attend_reading   softmax(rot(q) rot(k)^T / sqrt(D) + bias) v, where the last heads' queries stand at places of their own

For training without a cache. Callers ask `takes` first, and have a form in PyTorch for whatever it refuses.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bbkernels.causal_attention.native import BEST_LEVEL, HEAD_SIZE, run
from bbkernels.dispatch import native_library


def takes(x: Tensor, head_size: int) -> bool:
    """Whether heads like `x` are served: in training, of float32 and 32 channels, with the native library at hand."""
    fits = torch.is_grad_enabled() and x.dtype == torch.float32 and head_size == HEAD_SIZE and x.numel() > 0
    return fits and not torch.compiler.is_compiling() and x.device.type == "cpu" and native_library(x) is not None


def attend_memory(
    query: Tensor,
    latent: Tensor,
    memory: Tensor,
    lengths: Tensor,
    angles: tuple[Tensor, Tensor],
    level: int = BEST_LEVEL,
) -> Tensor:
    """[B, T, H, 32] of float32 `query` [B, T, H, 32], `latent` [B, T, G, 32] and `memory` [B, M, G, 32].

    `lengths` int64 [B] are in 0..M, `angles` cosine and sine [T, 1, 16] of the tokens' positions.
    """
    out: Tensor = _AttendMemory.apply(query, latent, memory, lengths, angles, level)  # type: ignore[no-untyped-call]
    return out


def attend_reading(
    projected: Tensor,
    place: Tensor,
    angles: tuple[Tensor, Tensor],
    reading: tuple[Tensor, Tensor],
    *,
    own: int,
    window: int,
    level: int = BEST_LEVEL,
) -> Tensor:
    """[B, T, H, 32] of float32 `projected` [B, T, 3 * H * 32 + (H - own) * window].

    It holds a token's queries, keys, values, and bias of the last H - own heads, whose queries stand at `place` int64 [B, T],
    at least 0: bias w is added to the score of token place + w, where there is one. `angles` [T, 1, 16] are cosine and sine of
    the tokens' positions, `reading` [B, T, 1, 16] those of the places.
    """
    out: Tensor = _AttendReading.apply(  # type: ignore[no-untyped-call]
        projected, place, angles, reading, own, window, level
    )
    return out


class _AttendMemory(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        latent: Tensor,
        memory: Tensor,
        lengths: Tensor,
        angles: tuple[Tensor, Tensor],
        level: int,
    ) -> Tensor:
        query, latent, memory, lengths = query.contiguous(), latent.contiguous(), memory.contiguous(), lengths.contiguous()
        (rows, tokens, heads), groups = query.shape[:3], latent.shape[2]
        out, mass = torch.empty_like(query), query.new_empty(rows, heads, tokens)
        ctx.numbers = {
            "rows": rows, "tokens": tokens, "heads": heads, "groups": groups, "slots": memory.shape[1],
            "query_token": heads * HEAD_SIZE, "key_token": groups * HEAD_SIZE, "value_token": groups * HEAD_SIZE,
        }  # fmt: skip
        ctx.level, ctx.angles = level, tuple(angle.contiguous() for angle in angles)
        run(_library(query), _with_memory(query, latent, memory, lengths, ctx.angles, out, mass), ctx.numbers, level)
        ctx.save_for_backward(query, latent, memory, lengths, out, mass)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, latent, memory, lengths, out, mass = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        for_query, for_latent, for_memory = torch.empty_like(query), torch.empty_like(latent), torch.zeros_like(memory)
        tensors = _with_memory(query, latent, memory, lengths, ctx.angles, out, mass)
        tensors |= {"gradient": gradient, "for_query": for_query, "for_key": for_latent, "for_memory": for_memory}
        run(_library(query), tensors, ctx.numbers, ctx.level)
        return for_query, for_latent, for_memory, None, None, None


class _AttendReading(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        place: Tensor,
        angles: tuple[Tensor, Tensor],
        reading: tuple[Tensor, Tensor],
        own: int,
        window: int,
        level: int,
    ) -> Tensor:
        projected, place = projected.contiguous(), place.contiguous()
        rows, tokens, width = projected.shape
        # 3 H 32 + (H - own) window = width
        heads = (width + own * window) // (3 * HEAD_SIZE + window)
        out = projected.new_empty(rows, tokens, heads, HEAD_SIZE)
        mass = projected.new_empty(rows, heads, tokens)
        ctx.numbers = {
            "rows": rows, "tokens": tokens, "heads": heads, "groups": heads, "own": own, "window": window,
            "query_token": width, "key_token": width, "value_token": width, "bias_token": width,
        }  # fmt: skip
        ctx.level, ctx.angles = level, tuple(angle.contiguous() for angle in (*angles, *reading))
        run(_library(projected), _with_reading(projected, place, ctx.angles, out, mass), ctx.numbers, level)
        ctx.save_for_backward(projected, place, out, mass)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        projected, place, out, mass = ctx.saved_tensors
        gradient, result = gradients[0].contiguous(), torch.empty_like(projected)
        parts = dict(zip(("for_query", "for_key", "for_value", "for_bias"), _parts(result, out.shape[2]), strict=True))
        tensors = _with_reading(projected, place, ctx.angles, out, mass) | {"gradient": gradient} | parts
        run(_library(projected), tensors, ctx.numbers, ctx.level)
        return result, None, None, None, None, None, None


def _with_memory(
    query: Tensor,
    latent: Tensor,
    memory: Tensor,
    lengths: Tensor,
    angles: tuple[Tensor, ...],
    out: Tensor,
    mass: Tensor,
) -> dict[str, Tensor | None]:
    return {
        "query": query, "key": latent, "value": latent, "memory": memory, "lengths": lengths,
        "cosine": angles[0], "sine": angles[1], "out": out, "mass": mass,
    }  # fmt: skip


def _with_reading(
    projected: Tensor, place: Tensor, angles: tuple[Tensor, ...], out: Tensor, mass: Tensor
) -> dict[str, Tensor | None]:
    query, key, value, bias = _parts(projected, out.shape[2])
    return {
        "query": query, "key": key, "value": value, "bias": bias, "place": place, "cosine": angles[0], "sine": angles[1],
        "reading_cosine": angles[2], "reading_sine": angles[3], "out": out, "mass": mass,
    }  # fmt: skip


def _parts(projected: Tensor, heads: int) -> tuple[Tensor, ...]:
    """Where queries, keys, values and bias begin."""
    return tuple(projected[..., part * heads * HEAD_SIZE :] for part in range(4))


def _library(x: Tensor) -> Any:
    library = native_library(x)
    if library is None:
        raise RuntimeError("expected the native library, which was there in the forward pass, got none")
    return library
