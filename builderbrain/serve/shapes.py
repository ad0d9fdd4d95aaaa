"""Pieces of the replies that chat and completions share."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

from builderbrain.decode.base import Generation, TokenLogprob
from builderbrain.hosts.base import Tokenizer


def envelope(prefix: str, kind: str, model: str, fingerprint: str) -> dict[str, Any]:
    """What every reply and every chunk of it begins with. The id is made here, never taken from the client."""
    return {
        "id": f"{prefix}-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": fingerprint,
    }


def usage(prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> dict[str, Any]:
    """OpenAI's token counts; `cached_tokens` are those of the prompts that were taken over from earlier texts."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
    }


def weight_versions(generation: Generation) -> list[dict[str, Any]]:
    """Which weights wrote which tokens of an output, as half-open spans. An output keeps the version it began with."""
    return [{"version": generation.weight_version, "start": 0, "end": len(generation.tokens)}]


def ending(generation: Generation) -> dict[str, Any]:
    """How an output ended, and what wrote it: the last fields of a choice, streamed or not."""
    return {"finish_reason": generation.finish_reason, "weight_versions": weight_versions(generation)}


def stream_head(prefix: str, kind: str, model: str, fingerprint: str, *, with_usage: bool) -> dict[str, Any]:
    """`envelope` of a stream's chunks; where usage was asked for it is null in all but the last."""
    head = envelope(prefix, kind, model, fingerprint)
    return {**head, "usage": None} if with_usage else head


def extension(generations: Sequence[Generation]) -> dict[str, Any]:
    """The `builderbrain` object: what was enforced on these outputs, and whether the finished ones passed validation.

    `valid` is true when all outputs are whole and valid, null when one was cut; an invalid one is returned only under soft
    enforcement, where it is false, and `outputs` says it of each. A search adds the score of each choice.
    """
    scores = [generation.score for generation in generations if generation.score is not None]
    found = {"constraint": _enforced(generations)}
    return {**found, "beam_search": {"scores": scores}} if scores else found


def _enforced(generations: Sequence[Generation]) -> dict[str, Any] | None:
    reports = [generation.constraint for generation in generations if generation.constraint is not None]
    if not reports:
        return None
    report, verdicts = reports[0], [each.valid for each in reports]
    found: dict[str, Any] = {
        "kind": report.kind,
        "engine": report.engine,
        "exact": report.exact,
        "valid": False if False in verdicts else True if all(verdicts) else None,
        "declared": list(report.declared),
        "enforcement": report.enforcement,
    }
    if report.softness is not None:
        found["energy_scale"] = report.softness.energy_scale
        found["outputs"] = [
            {
                "valid": each.valid,
                "illegal_tokens": each.softness.illegal_tokens,
                "left_at": each.softness.left_at,
                "mask_empty_at": each.softness.mask_empty_at,
            }
            for each in reports
            if each.softness is not None
        ]
    return found


def chat_logprobs(tokenizer: Tokenizer, entries: Iterable[TokenLogprob]) -> dict[str, Any]:
    """OpenAI's chat logprobs. `bytes` is null where a token is part of a character."""

    def entry(token: int, logprob: float) -> dict[str, Any]:
        text = tokenizer.decode([token])
        return {"token": text, "logprob": finite(logprob), "bytes": None if "\ufffd" in text else list(text.encode())}

    content = [
        {**entry(found.token, found.logprob), "top_logprobs": [entry(token, logprob) for token, logprob in found.top]}
        for found in entries
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(
    tokenizer: Tokenizer, tokens: Sequence[int], entries: Sequence[TokenLogprob | None], *, offset: int = 0
) -> dict[str, Any]:
    """OpenAI's completion logprobs; null where nothing precedes a token. `offset` is where the first token's text begins."""
    texts = [tokenizer.decode([token]) for token in tokens]
    offsets = []
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    tops = [
        None if entry is None else {tokenizer.decode([token]): finite(logprob) for token, logprob in reversed(entry.top)}
        for entry in entries
    ]
    return {
        "tokens": texts,
        "token_logprobs": [None if entry is None else finite(entry.logprob) for entry in entries],
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def finite(logprob: float) -> float:
    """JSON has no infinity; OpenAI writes -9999.0 for the impossible."""
    return max(logprob, -9999.0)
