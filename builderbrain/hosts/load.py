"""From a name to a host: a local folder, a hub name, or the bundled base.

Whatever the name, weights are read from a folder: a hub name is first brought into the hub's cache. So loading itself
never touches the network. Only safetensors are read (never pickle), and code that comes with a model is never run.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from builderbrain.errors import CheckpointError, ConfigError, ModelNotFoundError, UnsupportedModelError
from builderbrain.hosts.base import Host
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.packed_linear import route_packed_linears
from builderbrain.hosts.quantization import Quantization, check_quantized, quantization_config

if TYPE_CHECKING:
    from builderbrain.hosts.tokenizer import HuggingFaceTokenizer

NANO = "builderbrain-nano"
"""The bundled base."""

_NANO_FOLDER = Path(__file__).resolve().parents[1] / "bundled" / "nano"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "tokenizer.model"]
# Copies of the same weights in other layouts.
_HUB_IGNORED = ["*/*", "consolidated*"]


def load_host(
    model: str,
    *,
    tap_points: Sequence[int] | None = None,
    quantization: Quantization = "none",
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> Host:
    """Load a base model, frozen and ready to be read.

    Args:
        model: a local folder, a hub name (`owner/name`), or `builderbrain-nano`.
        tap_points: zero-based layer indices, ascending, the last one the last layer; None spreads eight evenly.
        quantization: how the weights are kept. `none` unpacks a checkpoint that is stored as MXFP4.
        dtype: of the states and of everything not quantised; None is float32 on CPU and the checkpoint's own elsewhere.
        device: None is the first CUDA device if there is one, else the CPU.

    Raises:
        ModelNotFoundError: no such folder, no network for a hub name, or the folder lacks a file.
        CheckpointError: the weights are damaged or incomplete.
        UnsupportedModelError: not a decoder-only causal LM whose layers can be tapped.
        TapError: a tap is not a layer of the model.
        ConfigError: the quantisation or the device is not to be had here.
    """
    place = check_device(device)
    folder = _find_folder(model)
    config = _load_config(folder)
    compute = dtype or (torch.float32 if place.type == "cpu" else _stored_dtype(config))
    packing = quantization_config(config, quantization=quantization, dtype=compute, device=place)
    loaded = _load_weights(folder, packing=packing, dtype=compute, device=place)
    check_quantized(loaded, quantization)
    if quantization == "nf4":
        route_packed_linears(loaded)
    return HuggingFaceHost(loaded, load_tokenizer(folder), name=model, tap_points=tap_points)


def load_tokenizer(folder: Path) -> HuggingFaceTokenizer:
    """The tokenizer of a model folder.

    `tokenizer.json` is taken literally: the family's own class would rebuild the pipeline from the vocabulary alone.

    Raises:
        ModelNotFoundError: the folder has no tokenizer.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    from builderbrain.hosts.tokenizer import HuggingFaceTokenizer

    source: Any = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    try:
        backend = source.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelNotFoundError(
            f"expected a tokenizer in {folder}, got {type(error).__name__}: {_first_line(error)}; add its tokenizer.json",
            field="model",
        ) from error
    return HuggingFaceTokenizer(backend)


def check_device(device: str | torch.device | None) -> torch.device:
    """The device of a name, None as in `load_host`.

    Raises:
        ConfigError: there is no such device here.
    """
    if device is None:
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ConfigError(f"device: expected cpu, cuda or cuda:N, got {device!r}", field="device") from error
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device: expected one of {torch.cuda.device_count()} CUDA devices, got {device!r}; use device='cpu'",
            field="device",
        )
    return place


def _find_folder(model: str) -> Path:
    if model == NANO:
        if not _NANO_FOLDER.is_dir():
            raise ModelNotFoundError(
                f"expected the bundled base in {_NANO_FOLDER}, got no such folder; install builderbrain again", field="model"
            )
        return _NANO_FOLDER
    path = Path(model).expanduser()
    if model and path.is_dir():
        return path
    if not _HUB_NAME.fullmatch(model) or path.exists():
        raise ModelNotFoundError(
            f"expected a model folder, got {model!r} ({'a file' if path.is_file() else 'no folder'} at {path.absolute()}); "
            f"give the folder that holds config.json, a hub name (owner/name), or {NANO}",
            field="model",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(model, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_IGNORED))
    except (OSError, HfHubHTTPError, ValueError) as error:
        raise ModelNotFoundError(
            f"expected a model folder or hub name, got {model!r}: there is no folder {str(path.absolute())!r}, and the hub "
            f"gave {type(error).__name__}: {_first_line(error)}; check the name and the network, or give a local folder",
            field="model",
        ) from error


def _load_config(folder: Path) -> Any:
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    if not (folder / "config.json").is_file():
        raise ModelNotFoundError(
            f"expected config.json in {folder}, got none; give the folder of a saved transformers model", field="model"
        )
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except OSError as error:
        raise CheckpointError(
            f"expected a readable config.json in {folder}, got {_first_line(error)}; copy the model again", field="model"
        ) from error
    except (ValueError, KeyError) as error:
        raise UnsupportedModelError(
            f"expected an architecture built into transformers in {folder}, got {_first_line(error)}; "
            "code that comes with a model is never run",
            field="model",
        ) from error
    if getattr(config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"expected a decoder-only causal language model in {folder}, got the encoder-decoder {config.model_type!r}: "
            "a host without taps; use a model such as Llama, Qwen, Mistral, Gemma, GPT-2 or gpt-oss",
            field="model",
        )
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UnsupportedModelError(
            f"expected a decoder-only causal language model in {folder}, got {config.model_type!r}, which generates no text: "
            "a host without taps; use a model such as Llama, Qwen, Mistral, Gemma, GPT-2 or gpt-oss",
            field="model",
        )
    return config


def _stored_dtype(config: Any) -> torch.dtype:
    stored = getattr(config.get_text_config(decoder=True), "dtype", None)
    return stored if isinstance(stored, torch.dtype) else torch.bfloat16


def _load_weights(folder: Path, *, packing: Any | None, dtype: torch.dtype, device: torch.device) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    if not sys.stderr.isatty():
        logging.disable_progress_bar()  # it would stand in logs and in front of error messages
    options: dict[str, Any] = {} if packing is None else {"quantization_config": packing}
    # Straight to the device where that is possible, so that the CPU need not hold the model.
    if device.type != "cpu" and importlib.util.find_spec("accelerate") is not None:
        options["device_map"] = {"": device}
    elif packing is not None:
        options["device_map"] = {"": "cpu"}
    try:
        result: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    except OSError as error:
        raise ModelNotFoundError(
            f"expected the weights as model.safetensors in {folder}, got {_first_line(error)}; "
            "other weight files are never read: save the model with safetensors",
            field="model",
        ) from error
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"expected whole weights that fit config.json in {folder}, got {type(error).__name__}: {_first_line(error)}; "
            "copy the model again",
            field="model",
        ) from error
    loaded, report = result
    missing = sorted(report["missing_keys"])
    if missing:  # transformers would have filled them with random numbers
        raise CheckpointError(
            f"expected every weight of the model in {folder}, "
            f"got none for {missing[:3]} ({len(missing)} in all); copy it again",
            field="model",
        )
    return loaded if "device_map" in options else loaded.to(device)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
