"""4-bit and 8-bit bases keep every promise of the protocol; packing that is not to be had is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from builderbrain.errors import ConfigError, UnsupportedModelError
from builderbrain.hosts import Host, load_host
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.rail.pair import Pair
from tests.hosts.tiny_models import FAMILIES, gpt_oss, llama, random_tokens, save_model
from tests.rail.conftest import make_rail

pytest.importorskip("bitsandbytes")

E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
"""The eight magnitudes of a 4-bit float with two exponent bits and one mantissa bit."""


def check_states_and_logits(host: Host) -> None:
    assert isinstance(host, HuggingFaceHost)
    tokens = random_tokens(2, 12)
    states = host.forward(tokens)
    with torch.no_grad():
        own = host.model(input_ids=tokens, output_hidden_states=True, use_cache=False)
    for tap, expected in zip(states.taps[:-1], own.hidden_states[1:-1], strict=True):
        assert torch.equal(tap, expected)
    assert torch.equal(host.final_norm(states.taps[-1]), own.hidden_states[-1])
    assert torch.equal(host.lm_head(host.final_norm(states.taps[-1])), own.logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_nf4_taps_are_the_packed_models_own_states(family: str, tmp_path: Path) -> None:
    folder = save_model(FAMILIES[family](), tmp_path)
    host = load_host(str(folder), quantization="nf4")
    check_states_and_logits(host)
    assert isinstance(host, HuggingFaceHost)
    packed: list[Any] = [part.weight for part in host.model.modules() if type(part).__name__ == "Linear4bit"]
    assert packed
    for weight in packed:
        assert weight.dtype == torch.uint8
        assert weight.quant_state.quant_type == "nf4"
        assert weight.quant_state.nested  # double quantisation
    assert not any(parameter.requires_grad for parameter in host.model.parameters())


def test_nf4_weights_are_the_plain_ones_rounded(tmp_path: Path) -> None:
    from bitsandbytes.functional import dequantize_4bit

    model = llama()
    host = load_host(str(save_model(model, tmp_path)), quantization="nf4")
    assert isinstance(host, HuggingFaceHost)
    name = "model.layers.2.mlp.down_proj.weight"
    plain = model.get_parameter(name)
    packed: Any = host.model.get_parameter(name)
    error = dequantize_4bit(packed, packed.quant_state) - plain
    # Sixteen levels chosen for normal weights leave about 9 % of their norm: over 12 % is wrong, under 5 % is not 4 bits.
    assert 0.05 < (error.norm() / plain.norm()).item() < 0.12


def test_nf4_layers_whose_rows_are_not_whole_blocks_are_unpacked_rightly(tmp_path: Path) -> None:
    # The CPU kernel of bitsandbytes starts a new block with every row, which would be wrong for rows of 96.
    model = llama(intermediate_size=96)
    host = load_host(str(save_model(model, tmp_path)), quantization="nf4", device="cpu")
    assert isinstance(host, HuggingFaceHost)
    name = "model.layers.0.mlp.down_proj"
    plain = model.get_parameter(f"{name}.weight")
    unpacked = host.model.get_submodule(name)(torch.eye(96)).T
    assert 0.05 < ((unpacked - plain).norm() / plain.norm()).item() < 0.12
    with pytest.raises(UnsupportedModelError, match="multiple of 64 for training through them on the CPU, got 96"):
        host.model.get_submodule(name)(torch.eye(96, requires_grad=True))


def test_nf4_layers_let_gradients_through(tmp_path: Path) -> None:
    host = load_host(str(save_model(llama(), tmp_path)), quantization="nf4")
    assert isinstance(host, HuggingFaceHost)
    layer = host.model.get_submodule("model.layers.0.mlp.up_proj")
    x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(0), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    with torch.no_grad():
        expected = layer(torch.eye(layer.in_features)).sum(1)
    torch.testing.assert_close(x.grad, expected.expand_as(x.grad), rtol=1e-4, atol=1e-4)


def test_nf4_layers_compute_what_bitsandbytes_would(tmp_path: Path) -> None:
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit

    host = load_host(str(save_model(llama(), tmp_path)), quantization="nf4")
    assert isinstance(host, HuggingFaceHost)
    layers: list[Any] = [part for part in host.model.modules() if type(part).__name__ == "Linear4bit"]
    assert layers
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in layers:
            # where a processor multiplies bfloat16, bitsandbytes would pack the layer's weight anew, in place, and round
            # input, scales and result to bfloat16; without that it multiplies in the dtype of its input
            layer.support_avx512bf16_for_cpu = False
            weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state).double()
            bias = 0.0 if layer.bias is None else layer.bias.double()
            for rows in (1, 40):  # with the weight unpacked in registers, and to memory first
                x = torch.randn(rows, layer.in_features, generator=generator)
                y = layer(x)
                torch.testing.assert_close(y, Linear4bit.forward(layer, x), rtol=1e-5, atol=1e-5)
                torch.testing.assert_close(y.double(), x.double() @ weight.T + bias, rtol=1e-5, atol=1e-5)


def test_a_pair_with_gates_at_zero_gives_the_bits_of_its_packed_base(tmp_path: Path) -> None:
    host = load_host(str(save_model(llama(), tmp_path)), quantization="nf4")
    assert isinstance(host, HuggingFaceHost)
    pair = Pair(host, make_rail(host))
    tokens = random_tokens(2, 9)
    with torch.no_grad():
        own = host.model(input_ids=tokens, use_cache=False).logits
        assert torch.equal(pair.logits(pair.forward(tokens).fused), own)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_packed_decoding_with_a_cache_and_gradients(quantization: str, tmp_path: Path) -> None:
    host = load_host(str(save_model(llama(), tmp_path)), quantization=quantization)  # type: ignore[arg-type]
    tokens = random_tokens(2, 8)
    whole = host.forward(tokens).taps[-1]
    cache = host.new_cache()
    steps = [host.forward(tokens[:, index : index + 1], cache=cache).taps[-1] for index in range(8)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=1e-5, atol=1e-4)
    alone = host.forward(tokens[:1, :5]).taps[-1]
    torch.testing.assert_close(whole[:1, :5], alone, rtol=1e-5, atol=1e-4)
    leaf = whole.clone().requires_grad_()
    host.lm_head(host.final_norm(leaf)).logsumexp(-1).sum().backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()


def test_int8_taps_are_the_packed_models_own_states(tmp_path: Path) -> None:
    host = load_host(str(save_model(llama(), tmp_path)), quantization="int8")
    check_states_and_logits(host)
    assert isinstance(host, HuggingFaceHost)
    assert any(type(part).__name__ == "Linear8bitLt" for part in host.model.modules())


def test_unpacked_experts_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_host(str(save_model(gpt_oss(), tmp_path)), quantization="nf4")
    assert "expert weights stay unpacked" in caplog.text


def mxfp4_folder(folder: Path) -> Path:
    """A gpt-oss checkpoint in its released form: experts as 4-bit blocks of 32 with one power-of-two scale each."""
    save_model(gpt_oss(), folder)
    weights = load_file(folder / "model.safetensors")
    generator = torch.Generator().manual_seed(3)
    for name in [name for name in weights if name.endswith(("experts.gate_up_proj", "experts.down_proj"))]:
        experts, inputs, outputs = weights.pop(name).shape
        weights[f"{name}_blocks"] = torch.randint(
            0, 256, (experts, outputs, inputs // 32, 16), generator=generator, dtype=torch.uint8
        )
        weights[f"{name}_scales"] = torch.randint(
            122, 126, (experts, outputs, inputs // 32), generator=generator, dtype=torch.uint8
        )
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_an_mxfp4_checkpoint_is_unpacked_on_request(tmp_path: Path) -> None:
    folder = mxfp4_folder(tmp_path)
    host = load_host(str(folder), quantization="none")
    check_states_and_logits(host)
    assert isinstance(host, HuggingFaceHost)
    stored = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.experts.gate_up_proj"
    blocks, scales = stored[f"{name}_blocks"], stored[f"{name}_scales"]
    values = torch.tensor(E2M1 + [-value for value in E2M1])
    nibbles = torch.stack([blocks & 15, blocks >> 4], dim=-1).flatten(-2)  # low nibble first
    expected = (values[nibbles.long()] * torch.exp2(scales.float() - 127)[..., None]).flatten(-2).transpose(1, 2)
    assert torch.equal(host.model.get_parameter(name).float(), expected)


def test_packed_mxfp4_is_refused_where_it_cannot_run(tmp_path: Path) -> None:
    folder = mxfp4_folder(tmp_path)
    with pytest.raises(ConfigError, match=r"a CUDA device.*quantization='none'") as caught:
        load_host(str(folder), quantization="mxfp4", device="cpu")
    assert caught.value.field == "quantization"


def test_packing_what_is_packed_already_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stored as 'mxfp4'"):
        load_host(str(mxfp4_folder(tmp_path)), quantization="nf4")


def test_mxfp4_of_a_plain_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plain weights.*nf4"):
        load_host(str(save_model(llama(), tmp_path)), quantization="mxfp4")


def test_other_stored_quantisations_are_refused(tmp_path: Path) -> None:
    folder = save_model(llama(), tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="gptq"):
        load_host(str(folder))


def test_an_unknown_quantisation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one of none, nf4, int8, mxfp4, got 'fp3'"):
        load_host(str(save_model(llama(), tmp_path)), quantization="fp3")  # type: ignore[arg-type]
