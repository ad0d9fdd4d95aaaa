"""`--dataset-name random`: prompts of random token ids, and when each of them is sent."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import numpy as np

WORDS = "search the gate and read what the first path says, then list 12 files of every folder; open it or answer in JSON. "


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Token ids and how many tokens may follow them."""

    tokens: list[int]
    output_len: int


async def known_tokens(client: httpx.AsyncClient, model: str) -> list[int]:
    """Ids that the server's tokenizer makes of ordinary text, each once: what prompts are drawn from.

    Raises:
        ValueError: the server does not tokenise; says what it answered.
    """
    reply = await client.post("/tokenize", json={"model": model, "prompt": WORDS})
    if reply.status_code != 200:
        raise ValueError(f"expected token ids from POST /tokenize, got status {reply.status_code}: {reply.text:.200}")
    return sorted(set(reply.json()["tokens"]))


def random_prompts(
    tokens: list[int], *, count: int, input_len: int, output_len: int, range_ratio: float, seed: int
) -> list[Prompt]:
    """`count` prompts of ids out of `tokens`.

    Args:
        tokens: ids to draw from.
        count: how many prompts.
        input_len: tokens of a prompt.
        output_len: tokens of an output, at most.
        range_ratio: in 0..1; lengths are uniform in `length * (1 - range_ratio)` to `length * (1 + range_ratio)`.
        seed: same seed, same prompts.
    """
    draw = np.random.default_rng(seed)

    def length(middle: int) -> int:
        low, high = round(middle * (1 - range_ratio)), round(middle * (1 + range_ratio))
        return int(draw.integers(max(low, 1), max(high, 1) + 1))

    return [
        Prompt(tokens=draw.choice(tokens, size=length(input_len)).tolist(), output_len=length(output_len)) for _ in range(count)
    ]


def arrivals(count: int, *, rate: float, burstiness: float, seed: int) -> list[float]:
    """Seconds after the start at which each request is sent; all 0 for an infinite `rate` (requests per second).

    Gaps are gamma distributed with shape `burstiness` (1 is a Poisson process), scaled so that the last request
    starts at `count / rate`: otherwise every seed would have a rate of its own.
    """
    if rate == float("inf"):
        return [0.0] * count
    draw = np.random.default_rng(seed)
    times = np.cumsum(draw.gamma(shape=burstiness, scale=1.0, size=count))
    return (times * (count / rate / times[-1])).tolist()
