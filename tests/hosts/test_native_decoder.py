"""Small dense bases run their layers natively: which ones do, and that a row's bits are its own at every level."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from bbkernels.native import cpu_library
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.native_decoder import NativeDecoder, why_not_native
from builderbrain.hosts.paged_cache import check_ragged, route_host
from builderbrain.hosts.ragged import RaggedBatch
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from tests.hosts.tiny_models import _COMMON, FAMILIES, _make, tiny_tokenizer

ROWS = [[5, 9, 2, 7, 1, 30, 4, 11, 8], [3, 3, 12], [40, 2, 6, 6, 1, 9, 22]]
PAGES = [[7, 0, 3], [5], [2, 6]]

pytestmark = pytest.mark.skipif(cpu_library() is None, reason="the native library was not built")


def qwen2() -> Any:
    """Its queries, keys and values have biases; half of every head is turned by positions that YaRN stretches."""
    rotation = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": 64}
    return _make(Qwen2ForCausalLM, Qwen2Config(**{**_COMMON, "rope_parameters": rotation}))


def host_of(model: Any) -> HuggingFaceHost:
    return HuggingFaceHost(model, HuggingFaceTokenizer(tiny_tokenizer()), name="tiny")


def reason(host: HuggingFaceHost) -> str | None:
    route_host(host)
    return why_not_native(host._decoder, host._layers, check_ragged(host))


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3"])
def test_families_of_plain_layers_run_natively(family: str) -> None:
    host = host_of(FAMILIES[family]())
    host.new_pages(1, 4)
    assert host._native is not None


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (lambda: FAMILIES["gemma2"](), "Gemma2DecoderLayer"),
        (lambda: FAMILIES["gpt2"](), "GPT2Block"),
        (lambda: FAMILIES["llama"](hidden_act="relu"), "relu"),
        (lambda: FAMILIES["llama"](intermediate_size=120), "multiples of 16"),
        (lambda: FAMILIES["llama"]().to(torch.bfloat16), "float32"),
    ],
)
def test_other_bases_run_through_their_own_modules_and_it_is_known_why(model: Any, why: str) -> None:
    found = reason(host_of(model()))
    assert found is not None
    assert why in found


def run(host: HuggingFaceHost, rows: list[int], level: int) -> list[list[torch.Tensor]]:
    """Per row, the states of all layers after tokens that came in two calls."""
    pages = host.new_pages(8, 4)
    assert isinstance(host._native, NativeDecoder)
    pages.make_layers(host._native.num_layers, host._native.groups, host._native.size)  # type: ignore[attr-defined]
    found: list[list[torch.Tensor]] = [[] for _ in rows]
    for first, end in ((0, 2), (2, 9)):
        new = [ROWS[row][first:end] for row in rows]
        batch = RaggedBatch.of(new, [first] * len(rows), [PAGES[row] for row in rows], page_size=4)
        embedding = host.model.get_input_embeddings()(batch.tokens)
        keys, values = ([held[layer] for layer in range(3)] for held in (pages.keys, pages.values))  # type: ignore[attr-defined]
        taps = host._native.step(batch, embedding, keys, values, (0, 1, 2), level=level)
        for place in range(len(rows)):
            found[place].append(torch.stack(taps)[:, batch.starts[place] : batch.starts[place + 1]])
    return found


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_row_has_its_own_bits_at_every_level(family: str, level: int) -> None:
    host = host_of(qwen2() if family == "qwen2" else FAMILIES[family]())
    host.new_pages(1, 4)
    together = run(host, [0, 1, 2], level)
    for place in range(3):
        [alone] = run(host, [place], level)
        assert all(torch.equal(one, other) for one, other in zip(alone, together[place], strict=True))
    with torch.no_grad():
        wanted = host.forward(torch.tensor([ROWS[0]])).taps
    for layer, state in enumerate(wanted):
        found = torch.cat([part[layer] for part in together[0]])
        torch.testing.assert_close(found, state[0], atol=2e-5 * float(state.abs().max()), rtol=0)
