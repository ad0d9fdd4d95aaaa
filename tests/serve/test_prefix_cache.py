"""Prompts that begin alike: what the reply and the metrics say of it."""

from __future__ import annotations

from typing import Any

import httpx

from tests.serve.running import make_service, running_server

PREFIX = "search for the promotion gate and then open it, list the files of this folder and read the first path. "


def test_cached_tokens_are_told_and_counted_and_the_text_is_the_same() -> None:
    with running_server(make_service()) as started, httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http:

        def ask(prompt: str, **more: Any) -> dict[str, Any]:
            body = {"model": "tiny", "prompt": prompt, "max_tokens": 6, "seed": 3, **more}
            reply: dict[str, Any] = http.post("/v1/completions", json=body).json()
            return reply

        cold, warm = ask(PREFIX + "then?"), ask(PREFIX + "then?")
        assert cold["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}
        cached = warm["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert 0 < cached < warm["usage"]["prompt_tokens"]
        assert cached % 16 == 0
        assert warm["choices"][0]["text"] == cold["choices"][0]["text"]
        # Another model over the same base takes over the base's pages as well.
        assert ask(PREFIX + "and?", model="tiny-other")["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
        metrics = http.get("/metrics").text
        assert "vllm:prefix_cache_hits_total" in metrics
        assert f'vllm:prefix_cache_hits_total{{model_name="tiny"}} {float(2 * cached)}' in metrics
