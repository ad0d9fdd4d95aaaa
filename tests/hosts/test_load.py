"""What loading accepts and how it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from builderbrain.errors import (
    BuilderBrainError,
    CheckpointError,
    ConfigError,
    ModelNotFoundError,
    TapError,
    UnsupportedModelError,
)
from builderbrain.hosts import load, load_host
from builderbrain.hosts.taps import check_tap_points, default_tap_points
from tests.hosts.tiny_models import VOCAB_SIZE, llama, random_tokens, save_model, tiny_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(llama(), tmp_path / "model")


def test_importing_hosts_is_light() -> None:
    code = "import sys, builderbrain.hosts; print([name for name in ('transformers', 'bitsandbytes') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("num_layers", "expected"),
    [(1, (0,)), (3, (0, 1, 2)), (8, tuple(range(8))), (16, (1, 3, 5, 7, 9, 11, 13, 15)), (36, (3, 8, 12, 17, 21, 26, 30, 35))],
)
def test_default_taps_are_spread_and_end_on_the_last_layer(num_layers: int, expected: tuple[int, ...]) -> None:
    assert default_tap_points(num_layers) == expected


@pytest.mark.parametrize("taps", [[], [3], [-1, 2], [2, 1], [1, 1, 2], [0, 1], [True, 2], [0.5, 2]], ids=str)
def test_a_bad_tap_is_refused(taps: list[int]) -> None:
    with pytest.raises(TapError, match=r"expected .* got .*leave tap_points out to use \[0, 1, 2\]") as caught:
        check_tap_points(taps, 3)
    assert caught.value.field == "tap_points"


def test_loading_checks_the_taps(folder: Path) -> None:
    with pytest.raises(TapError, match=r"layer indices 0\.\.2, got 7"):
        load_host(str(folder), tap_points=[7])


@pytest.mark.parametrize("model", ["/no/such/folder", "./missing", "~/missing", "a/b/c", "", "bad name"])
def test_a_missing_folder_is_named(model: str) -> None:
    with pytest.raises(ModelNotFoundError, match=r"give the folder that holds config\.json") as caught:
        load_host(model)
    assert os.path.basename(model) in caught.value.message
    assert caught.value.field == "model"


def test_a_hub_name_without_network_fails_soon_and_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    start = time.monotonic()
    with pytest.raises(ModelNotFoundError, match="check the name and the network, or give a local folder") as caught:
        load_host("no-owner/no-model")
    assert time.monotonic() - start < 30
    assert "'no-owner/no-model'" in caught.value.message
    assert "Connect" in caught.value.message or "HF_HUB_OFFLINE" in caught.value.message  # the cause is passed on


def test_a_file_is_no_folder(folder: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="a file at"):
        load_host(str(folder / "config.json"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_a_file_is_refused(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        load_host(str(folder))
    assert str(folder) in caught.value.message
    assert name in caught.value.message


def test_pickled_weights_are_never_read(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ModelNotFoundError, match="save the model with safetensors"):
        load_host(str(folder))


def test_truncated_weights_are_refused(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="copy the model again"):
        load_host(str(folder))


def test_missing_weights_are_not_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load_host(str(folder))


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    change_config(folder, intermediate_size=100)
    with pytest.raises(CheckpointError):
        load_host(str(folder))


def test_malformed_config_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_host(str(folder))


def test_code_that_comes_with_a_model_is_not_run(folder: Path) -> None:
    marker = folder / "ran"
    (folder / "custom.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    change_config(folder, model_type="custom", auto_map={"AutoConfig": "custom.C", "AutoModelForCausalLM": "custom.M"})
    with pytest.raises(UnsupportedModelError, match="never run"):
        load_host(str(folder))
    assert not marker.exists()


@pytest.mark.parametrize("model_type", ["t5", "bart", "vit", "clip"])
def test_models_that_are_no_decoder_are_a_host_without_taps(model_type: str, folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    with pytest.raises(UnsupportedModelError, match="a host without taps"):
        load_host(str(folder))


def test_an_encoder_is_refused_although_it_has_a_language_model_head(tmp_path: Path) -> None:
    from transformers import BertConfig, BertLMHeadModel

    config = BertConfig(vocab_size=VOCAB_SIZE, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    folder = save_model(BertLMHeadModel(config), tmp_path)
    with pytest.raises(UnsupportedModelError, match="causal attention"):
        load_host(str(folder))


def test_a_tokenizer_with_more_ids_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = save_model(llama(vocab_size=300), tmp_path)
    assert len(tiny_tokenizer()) > 300
    with pytest.raises(UnsupportedModelError, match="at most 300 ids"):
        load_host(str(folder))


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_a_device_that_is_not_there_is_refused(device: str, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_host(str(folder), device=device)
    assert caught.value.field == "device"


def test_dtype_is_the_states_dtype(folder: Path) -> None:
    host = load_host(str(folder), dtype=torch.bfloat16)
    states = host.forward(random_tokens(1, 4))
    assert host.dtype == states.taps[0].dtype == torch.bfloat16
    assert host.lm_head(host.final_norm(states.taps[-1].float())).dtype == torch.bfloat16


def test_the_name_is_what_was_asked_for(folder: Path) -> None:
    assert load_host(str(folder)).name == str(folder)


def test_the_bundled_base_is_found_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_NANO_FOLDER", folder)
    assert load_host("builderbrain-nano").name == "builderbrain-nano"


def test_a_missing_bundled_base_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_NANO_FOLDER", tmp_path / "nano")
    with pytest.raises(ModelNotFoundError, match="install builderbrain again"):
        load_host("builderbrain-nano")


def test_every_refusal_names_its_field(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(BuilderBrainError) as caught:
        load_host(str(folder))
    assert caught.value.field == "model"


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
