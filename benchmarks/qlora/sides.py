"""The two sides of the comparison, each with its best settings: one object that makes training steps on the same rows.

PEFT's side pays for nothing that this project adds: its batches are made beforehand, logits are taken at the labelled positions
alone, and both sides' bases compute in the dtype that it is the quicker in on the device. On CUDA its optimiser is the paged
8-bit AdamW of the QLoRA paper (Dettmers et al. 2023). The governed side is a `Trainer` as a run makes it, with the default
constraints: what it reads beside the task (grammar energy, divergence on ordinary text, policy heads, copying) is in its time
and memory.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.qlora.base import Shape, bundled, random_host, random_model
from benchmarks.qlora.rows import FixedRows
from builderbrain.config import load_config
from builderbrain.eval.lora import inject
from builderbrain.train.config import TrainConfig
from builderbrain.train.setup import gather_materials
from builderbrain.train.state_cache import with_state_cache
from builderbrain.train.trainer import Trainer

LORA_RATE = 2e-4
"""That of the QLoRA paper; speed and memory do not depend on it."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a step runs: all of a shape's parts, or one of them for the measurement of memory; the base computes in `dtype`."""

    shape: Shape
    dtype: torch.dtype
    one_part: bool = False

    @property
    def rows(self) -> int:
        """Rows of a step."""
        return -(-self.shape.rows // self.shape.parts) if self.one_part else self.shape.rows

    @property
    def parts(self) -> int:
        """Parts they are run in."""
        return 1 if self.one_part else self.shape.parts

    @property
    def text_rows(self) -> int:
        """Rows of ordinary text beside them."""
        return min(1, self.shape.text_rows) if self.one_part else self.shape.text_rows


class Side(Protocol):
    """Makes steps."""

    trainable: int

    def step(self) -> float:
        """One update on all rows; returns the loss of the plan's tokens."""
        ...


_AHEAD = 8
"""Steps whose rows are made beforehand, where they do not come again."""


class Governed:
    """This project's side. `cached` keeps states in bfloat16; rows come again at every step, or with `new_rows` only the
    windows of ordinary text do."""

    def __init__(self, load: Load, device: torch.device, *, cached: bool, new_rows: bool) -> None:
        host = random_host(load.shape, dtype=load.dtype, device=device)
        config = _config(load, cached=cached)
        materials = gather_materials(config, host)
        epoch = _AHEAD if new_rows else 1
        source = FixedRows(host.tokenizer, materials.rail.config, tokens=load.shape.tokens, epoch=epoch)
        for step in range(epoch):
            source.rows(step, load.rows)
        self.trainer = Trainer(with_state_cache(host, config.state_cache), materials.rail, materials.grammar, source, config)
        self.trainable = sum(parameter.numel() for parameter in materials.rail.parameters())
        self.log: dict[str, Any] = {}

    def step(self) -> float:
        """See `Side`."""
        self.log, _ = self.trainer.train_step()
        self.trainer.state.step += 1
        return float(self.log["plan"])


class Qlora:
    """PEFT's side."""

    def __init__(self, load: Load, device: torch.device, *, parameters: int, checkpointing: bool) -> None:
        from peft import prepare_model_for_kbit_training

        model = random_model(load.shape, dtype=load.dtype, device=device)
        host = bundled()
        config = _config(load, cached=False)
        materials = gather_materials(config, host)
        source = FixedRows(host.tokenizer, materials.rail.config, tokens=load.shape.tokens, epoch=1)
        batches = materials.collator(config).parts(source.rows(0, load.rows), load.parts)
        self._parts = [tuple(x.to(device) for x in (b.tokens, b.positions, b.labels, b.weights)) for b in batches]
        self._whole = sum(float(weights.sum()) for *_, weights in self._parts)
        model = prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=checkpointing, gradient_checkpointing_kwargs={"use_reentrant": False}
        )
        self.adapter, self.rank = inject(model, parameters)
        self.adapter.train()
        self._trained = [parameter for parameter in self.adapter.parameters() if parameter.requires_grad]
        self.trainable = sum(parameter.numel() for parameter in self._trained)
        self._optimizer = _adamw(self._trained, device)
        self._dtype = load.dtype
        self._device = device

    def step(self) -> float:
        """See `Side`."""
        total = 0.0
        self._optimizer.zero_grad(set_to_none=True)
        for part in self._parts:
            with torch.autocast(self._device.type, dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16):
                loss = self._loss(*part)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._trained, 1.0)
        self._optimizer.step()
        return total

    def _loss(self, tokens: Tensor, positions: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        model: Any = self.adapter.get_base_model()
        states = model.model(input_ids=tokens, use_cache=False).last_hidden_state.flatten(0, 1)
        each = functional.cross_entropy(model.lm_head(states[positions]).float(), labels, reduction="none")
        return (each * weights).sum() / self._whole


def build(name: str, load: Load, device: torch.device, parameters: int) -> Side:
    """A side by its name."""
    if name in ("governed", "governed-pool", "cached"):
        side: Side = Governed(load, device, cached=name != "governed", new_rows=name == "governed-pool")
    else:
        side = Qlora(load, device, parameters=parameters, checkpointing=name == "qlora-checkpointing")
    gc.collect()
    return side


def _adamw(parameters: list[Any], device: torch.device) -> torch.optim.Optimizer:
    if device.type == "cuda":
        import bitsandbytes as bnb

        paged: torch.optim.Optimizer = bnb.optim.PagedAdamW8bit(parameters, lr=LORA_RATE)
        return paged
    return torch.optim.AdamW(parameters, lr=LORA_RATE, weight_decay=0.0)


def _config(load: Load, *, cached: bool) -> TrainConfig:
    keys = [
        f"batch_size={load.rows}",
        f"micro_batches={load.parts}",
        f"base_text_rows={load.text_rows}",
        f"base_text_pool={load.parts}",
        f"base_text_positions={load.shape.text_positions}",
        "tensorboard=never",
        "evaluation_rows=1",
        "state_cache.memory_gib=64",
        f"state_cache.enabled={str(cached).lower()}",
    ]
    return load_config(TrainConfig, None, keys)
