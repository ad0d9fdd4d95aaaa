"""The baseline every rail must be read beside: a LoRA on the same base with as many parameters, trained on the same batches.

The adapter lives on a copy of the base, because injecting it rewrites the model's modules and the base is shared.

LoRA: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; on every linear layer of the decoder, scale
alpha / rank = 2, no dropout.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from builderbrain.errors import CheckpointError, SubjectError
from builderbrain.eval.tune import TokenBatch, Tuned, TuneSettings, around_transformers, as_host, tune
from builderbrain.hosts.base import Host
from builderbrain.hosts.huggingface import HuggingFaceHost

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER_FILE = "adapter_config.json"
_SCALE = 2


@dataclass(frozen=True, kw_only=True)
class LoraTraining:
    """A trained adapter, the host that carries it, and what it cost."""

    host: Host
    adapter: PeftModel
    rank: int
    parameters: int
    tuned: Tuned

    def save(self, folder: Path) -> None:
        """Write the adapter (safetensors and its configuration) for `load_lora`."""
        self.adapter.save_pretrained(str(folder))


def train_lora(
    host: Host,
    batch_of: Callable[[int], Sequence[TokenBatch]],
    *,
    parameters: int,
    settings: TuneSettings,
    start: Path | None = None,
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LoraTraining:
    """Train an adapter of as many `parameters` as a whole rank allows; the base is not changed. See `tune`.

    Args:
        start: folder of an adapter to go on from, whose rank then holds.

    Raises:
        SubjectError: the host is no `transformers` model, or PEFT is missing.
        CheckpointError: `start` holds no adapter for this base, or the checkpoints are of a run with other settings.
    """
    base = _with_peft(host)
    torch.manual_seed(settings.seed)
    if start is None:
        adapter, rank = inject(copy.deepcopy(base.model), parameters)
    else:
        adapter = read_adapter(host, start, trainable=True)
        rank = int(cast(int, adapter.active_peft_config.r))
    count = sum(parameter.numel() for parameter in adapter.parameters() if parameter.requires_grad)
    tuned = tune(
        adapter,
        batch_of,
        settings=settings,
        run={"kind": "lora", "parameters": parameters, "start": None if start is None else str(start), **asdict(settings)},
        device=host.device,
        checkpoints=checkpoints,
        on_step=on_step,
    )
    return LoraTraining(
        host=as_host(adapter.get_base_model(), base, "lora"),
        adapter=adapter,
        rank=rank,
        parameters=count,
        tuned=tuned,
    )


def load_lora(host: Host, folder: Path) -> Host:
    """A host that is a copy of `host` with a saved adapter on it.

    Raises:
        CheckpointError: the folder holds no adapter, or one for another base.
    """
    return as_host(read_adapter(host, folder).get_base_model(), _with_peft(host), "lora")


def merge_lora(host: Host, folder: Path) -> Any:
    """A copy of the host's model with a saved adapter added into its weights: what full fine-tuning goes on from.

    Raises:
        CheckpointError: the folder holds no adapter, or one for another base.
    """
    return read_adapter(host, folder).merge_and_unload()


def read_adapter(host: Host, folder: Path, *, trainable: bool = False) -> PeftModel:
    """A saved adapter around a copy of the host's model.

    Raises:
        CheckpointError: the folder holds no adapter, or one for another base.
    """
    if not (folder / ADAPTER_FILE).is_file():
        raise CheckpointError(
            f"expected a LoRA adapter in {folder}, got no {ADAPTER_FILE}; train one with "
            "`python -m builderbrain.eval train-lora`",
            field="lora",
        )
    base = _with_peft(host)
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        return PeftModel.from_pretrained(copy.deepcopy(base.model), str(folder), is_trainable=trainable)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"expected in {folder} an adapter for {host.name}, got: {reason}", field="lora") from error


def _with_peft(host: Host) -> HuggingFaceHost:
    base = around_transformers(host, "a LoRA")
    if importlib.util.find_spec("peft") is None:
        raise SubjectError(
            "expected PEFT for the LoRA baseline, got no such package; pip install 'builderbrain[baselines]'", field="subject"
        )
    return base


def inject(model: Any, parameters: int) -> tuple[PeftModel, int]:
    """An adapter whose size is as near to `parameters` as a whole rank allows; the size is linear in the rank."""
    from peft import LoraConfig, get_peft_model

    def adapter_of(rank: int) -> PeftModel:
        configuration = LoraConfig(
            r=rank, lora_alpha=_SCALE * rank, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
        )
        return get_peft_model(model, configuration)

    smallest = adapter_of(1)
    per_rank = sum(parameter.numel() for parameter in smallest.parameters() if parameter.requires_grad)
    rank = max(1, round(parameters / per_rank))
    if rank == 1:
        return smallest, rank
    model = smallest.unload()
    return adapter_of(rank), rank
