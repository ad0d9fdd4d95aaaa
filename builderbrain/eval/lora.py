"""The baseline every rail must be read beside: a LoRA on the same base with as many parameters, trained on the same batches.

The adapter lives on a copy of the base, because injecting it rewrites the model's modules and the base is shared. It is
evaluated as a host of its own, through the decoding and the grammar that the rail gets.

LoRA: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"; on every linear layer of the decoder, scale
alpha / rank = 2, no dropout.
"""

from __future__ import annotations

import copy
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn import functional

from builderbrain.errors import CheckpointError, SubjectError
from builderbrain.hosts.base import Host
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.train.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint

if TYPE_CHECKING:
    from peft import PeftModel

    from builderbrain.hosts.tokenizer import HuggingFaceTokenizer

_SCALE = 2
_WARMUP_SHARE = 0.03
_CHECKPOINT_EVERY = 100


class TokenBatch(Protocol):
    """A part of a training batch, the rail's own: R rows of T tokens, N of which predict a token of an answer."""

    @property
    def tokens(self) -> Tensor:
        """int64 [R, T], right-padded."""
        ...

    @property
    def positions(self) -> Tensor:
        """int64 [N], indices into the flattened [R * T] states."""
        ...

    @property
    def labels(self) -> Tensor:
        """int64 [N], the token wanted after each position."""
        ...

    @property
    def weights(self) -> Tensor:
        """float32 [N], weight of each label in the loss."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How an adapter is trained: `parameters` is the number to match, the rail's; the rank follows from it."""

    parameters: int
    learning_rate: float = 2e-3
    seed: int = 0
    max_gradient_norm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LoraTraining:
    """A trained adapter: the host that carries it, what it cost, and the loss of every step."""

    host: Host
    adapter: PeftModel
    rank: int
    parameters: int
    tokens: int
    losses: tuple[float, ...]

    def save(self, folder: Path) -> None:
        """Write the adapter (safetensors and its configuration) for `load_lora`."""
        self.adapter.save_pretrained(str(folder))


def train_lora(
    host: Host,
    batch_of: Callable[[int], Sequence[TokenBatch]],
    *,
    steps: int,
    settings: LoraSettings,
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> LoraTraining:
    """Train an adapter with AdamW, linear warm-up and cosine decay, on the batches of steps 0 to `steps` - 1.

    Args:
        host: the base; not changed.
        batch_of: what the rail was trained on at a step, as the parts it is run in.
        checkpoints: folder to go on from and to write to; the run then gives what an uninterrupted one gives.
        on_step: told the step, from 1, and its loss.

    Raises:
        SubjectError: the host is no `transformers` model, or PEFT is missing.
        CheckpointError: the checkpoints are of a run with other settings.
    """
    base = _around_transformers(host)
    torch.manual_seed(settings.seed)
    adapter, rank = _inject(copy.deepcopy(base.model), settings.parameters)
    trainable = [parameter for parameter in adapter.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=settings.learning_rate, weight_decay=0.0)
    named = [(name, parameter) for name, parameter in adapter.named_parameters() if parameter.requires_grad]
    run = {"steps": steps, **asdict(settings)}
    losses, tokens = _resume(checkpoints, named, optimizer, run)
    for step in range(len(losses), steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, steps)
        batch = batch_of(step)
        optimizer.zero_grad(set_to_none=True)
        whole = sum(float(part.weights.sum()) for part in batch)
        total = 0.0
        for part in batch:
            loss = _loss(adapter, part, host.device) * (float(part.weights.sum()) / whole)
            loss.backward()
            total += loss.item()
            tokens += part.tokens.numel()
        torch.nn.utils.clip_grad_norm_(trainable, settings.max_gradient_norm)
        optimizer.step()
        losses.append(total)
        if on_step is not None:
            on_step(len(losses), losses[-1])
        if checkpoints is not None and len(losses) % _CHECKPOINT_EVERY == 0:
            tensors = {f"lora/{name}": parameter for name, parameter in named}
            tensors |= {f"optimizer/{name}": tensor for name, tensor in optimizer_tensors(optimizer, named).items()}
            values = {"run": run, "losses": losses, "tokens": tokens}
            save_checkpoint(checkpoints, Checkpoint(step=len(losses), tensors=tensors, values=values))
    return LoraTraining(
        host=_as_host(adapter, base),
        adapter=adapter,
        rank=rank,
        parameters=sum(parameter.numel() for parameter in trainable),
        tokens=tokens,
        losses=tuple(losses),
    )


def _resume(
    checkpoints: Path | None, named: Sequence[tuple[str, Tensor]], optimizer: torch.optim.Optimizer, run: dict[str, Any]
) -> tuple[list[float], int]:
    """Put adapter and optimiser where the last checkpoint left them; its losses and its number of tokens."""
    checkpoint = None if checkpoints is None else load_checkpoint(checkpoints)
    if checkpoint is None:
        return [], 0
    theirs = checkpoint.values["run"]
    if theirs != run:
        key = next(name for name in run if theirs.get(name) != run[name])
        raise CheckpointError(
            f"{checkpoints} holds a run with {key}={theirs.get(key)!r}, but this one has {run[key]!r}; "
            "remove it or choose another output folder",
            field=key,
        )
    with torch.no_grad():
        for name, parameter in named:
            parameter.copy_(checkpoint.tensors[f"lora/{name}"])
    state = {k.removeprefix("optimizer/"): v for k, v in checkpoint.tensors.items() if k.startswith("optimizer/")}
    restore_optimizer(optimizer, named, state)
    return list(checkpoint.values["losses"]), int(checkpoint.values["tokens"])


def load_lora(host: Host, folder: Path) -> Host:
    """A host that is a copy of `host` with a saved adapter on it.

    Raises:
        CheckpointError: the folder holds no adapter, or one for another base.
    """
    if not (folder / "adapter_config.json").is_file():
        raise CheckpointError(
            f"expected a LoRA adapter in {folder}, got no adapter_config.json; train one with "
            "`python -m builderbrain.eval train-lora`",
            field="lora",
        )
    base = _around_transformers(host)
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        adapter = PeftModel.from_pretrained(copy.deepcopy(base.model), str(folder), is_trainable=False)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"expected in {folder} an adapter for {host.name}, got: {reason}", field="lora") from error
    return _as_host(adapter, base)


def _around_transformers(host: Host) -> HuggingFaceHost:
    if not isinstance(host, HuggingFaceHost):
        raise SubjectError(
            f"expected a host around a transformers model for a LoRA, got {type(host).__name__}; leave out --subject lora",
            field="subject",
        )
    if importlib.util.find_spec("peft") is None:
        raise SubjectError(
            "expected PEFT for the LoRA baseline, got no such package; pip install 'builderbrain[baselines]'", field="subject"
        )
    return host


def _inject(model: Any, parameters: int) -> tuple[PeftModel, int]:
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


def _as_host(adapter: PeftModel, base: HuggingFaceHost) -> Host:
    model: Any = adapter.get_base_model()
    tokenizer = cast("HuggingFaceTokenizer", base.tokenizer)  # the only kind that a HuggingFaceHost is made with
    return HuggingFaceHost(model, tokenizer, name=f"{base.name}+lora", tap_points=[base.num_layers - 1])


def _loss(adapter: PeftModel, batch: TokenBatch, device: torch.device) -> Tensor:
    """Weighted mean cross-entropy of the labels, natural log."""
    logits: Tensor = adapter(input_ids=batch.tokens.to(device), use_cache=False).logits
    wanted = logits.flatten(0, 1)[batch.positions.to(device)].float()
    each = functional.cross_entropy(wanted, batch.labels.to(device), reduction="none")
    weights = batch.weights.to(device)
    return (each * weights).sum() / weights.sum()


def _rate(step: int, steps: int) -> float:
    warmup = max(1, round(_WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
