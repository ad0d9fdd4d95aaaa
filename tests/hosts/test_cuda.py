"""The promises of the protocol on a CUDA device, in bfloat16 and packed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from builderbrain.hosts import load_host
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.quantization import Quantization
from tests.hosts.tiny_models import gemma2, llama, random_tokens, save_model

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]


@pytest.mark.parametrize("family", [llama, gemma2])
@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_taps_and_logits_are_the_models_own(family: type, quantization: Quantization, tmp_path: Path) -> None:
    host = load_host(str(save_model(family(), tmp_path)), quantization=quantization, dtype=torch.bfloat16)
    assert isinstance(host, HuggingFaceHost)
    assert host.device.type == "cuda"
    assert host.dtype == torch.bfloat16
    tokens = random_tokens(2, 12).cuda()
    states = host.forward(tokens)
    with torch.no_grad():
        own = host.model(input_ids=tokens, output_hidden_states=True, use_cache=False)
    assert torch.equal(states.taps[0], own.hidden_states[1])
    assert torch.equal(host.lm_head(host.final_norm(states.taps[-1])), own.logits)
