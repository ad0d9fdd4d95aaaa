"""From settings to answers on a pretended CUDA device, through the server's own worker thread."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from builderbrain.hosts.load import NANO, load_host
from builderbrain.serve.compose import _graphs, compose
from builderbrain.serve.settings import ServeSettings

pytestmark = pytest.mark.usefixtures("pretended_cuda")


def test_goals_texts_and_scores_are_served_from_the_device(tree: Path, tmp_path: Path) -> None:
    settings = ServeSettings(device="cuda", dtype="float32", root=str(tree), registry=str(tmp_path / "versions"))
    with TestClient(compose(settings)) as http:
        goal = {"goal": "search for the promotion gate and then open it"}
        reply = http.post("/v1/goals", json=goal)
        assert reply.status_code == 200, reply.text
        assert [entry["skill"] for entry in reply.json()["trace"]] == ["search", "read"]
        text = {"model": "builderbrain-nano:base", "prompt": "def f", "max_tokens": 3, "logprobs": 2, "echo": True}
        reply = http.post("/v1/completions", json=text)
        assert reply.status_code == 200, reply.text
        assert len(reply.json()["choices"][0]["logprobs"]["tokens"]) > 3
        passes = dict(re.findall(r'bb:model_passes_total{kind="(\w+)",model_name="[^"]+"} (\d+)', http.get("/metrics").text))
        assert int(passes.pop("refused")) > 3, "what pretends to be a device cannot capture, and says so"
        assert set(passes.values()) == {"0"}


def test_passes_are_captured_on_a_device_unless_told_otherwise(pretended_cuda: torch.device) -> None:
    host = load_host(NANO, device=pretended_cuda)

    def sizes(**options: Any) -> list[int] | None:
        plan = _graphs(ServeSettings(device="cuda", **options), host, 256)
        return None if plan is None else list(plan.sizes)

    assert sizes(max_num_seqs=8) == [1, 2, 4, 8, 16]
    assert sizes(max_num_seqs=4096, max_num_batched_tokens=4096)[-2:] == [496, 512]
    assert sizes(max_num_seqs=64, max_cudagraph_capture_size=3) == [1, 2, 3]
    assert sizes(max_num_batched_tokens=12) == [1, 2, 4, 8, 12], "no pass is larger"
    assert sizes(enforce_eager=True) is None
    assert _graphs(ServeSettings(), load_host(NANO, device="cpu"), 256) is None
