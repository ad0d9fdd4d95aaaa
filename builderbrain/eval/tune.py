"""The training loop of the baselines: a model on the rail's own batches, AdamW with linear warm-up and cosine decay.

A baseline is a copy of the base with an adapter (`builderbrain.eval.lora`) or with all its weights free
(`builderbrain.eval.full`). It is evaluated as a host of its own, through the decoding and the grammar that the rail gets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
    from builderbrain.hosts.tokenizer import HuggingFaceTokenizer

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
class TuneSettings:
    """How a baseline is trained. The rate is that of AdamW at its peak; there is no weight decay."""

    steps: int
    learning_rate: float
    seed: int = 0
    max_gradient_norm: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What training cost: `tokens` seen, padding included, and the `losses` of every step."""

    tokens: int
    losses: tuple[float, ...]


def tune(
    model: Any,
    batch_of: Callable[[int], Sequence[TokenBatch]],
    *,
    settings: TuneSettings,
    run: Mapping[str, Any],
    device: torch.device,
    checkpoints: Path | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Tuned:
    """Train the parameters of `model` that ask for it, on the batches of steps 0 to `settings.steps` - 1.

    Args:
        model: gives `.logits` for `input_ids` int64 [R, T].
        batch_of: what the rail was trained on at a step, as the parts it is run in.
        run: what a checkpoint must agree with.
        checkpoints: folder to go on from and to write to; the run then gives what an uninterrupted one gives.
        on_step: told the step, from 1, and its loss.

    Raises:
        CheckpointError: the checkpoints are of another run.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    trainable = [parameter for _, parameter in named]
    optimizer = torch.optim.AdamW(trainable, lr=settings.learning_rate, weight_decay=0.0)
    losses, tokens = _resume(checkpoints, named, optimizer, run)
    for step in range(len(losses), settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings.steps)
        batch = batch_of(step)
        optimizer.zero_grad(set_to_none=True)
        whole = sum(float(part.weights.sum()) for part in batch)
        total = 0.0
        for part in batch:
            loss = _loss(model, part, device) * (float(part.weights.sum()) / whole)
            loss.backward()
            total += loss.item()
            tokens += part.tokens.numel()
        torch.nn.utils.clip_grad_norm_(trainable, settings.max_gradient_norm)
        optimizer.step()
        losses.append(total)
        if on_step is not None:
            on_step(len(losses), losses[-1])
        if checkpoints is not None and len(losses) % _CHECKPOINT_EVERY == 0:
            tensors = {f"model/{name}": parameter for name, parameter in named}
            tensors |= {f"optimizer/{name}": tensor for name, tensor in optimizer_tensors(optimizer, named).items()}
            values = {"run": dict(run), "losses": losses, "tokens": tokens}
            save_checkpoint(checkpoints, Checkpoint(step=len(losses), tensors=tensors, values=values))
    return Tuned(tokens=tokens, losses=tuple(losses))


def around_transformers(host: Host, subject: str) -> HuggingFaceHost:
    """The host, if it is one whose model can be copied and trained.

    Raises:
        SubjectError: the host is no `transformers` model.
    """
    if not isinstance(host, HuggingFaceHost):
        raise SubjectError(
            f"expected a host around a transformers model for {subject}, got {type(host).__name__}; leave this subject out",
            field="subject",
        )
    return host


def as_host(model: Any, base: HuggingFaceHost, name: str) -> Host:
    """A host around a trained copy of a base's model; it has one tap, the last layer."""
    tokenizer = cast("HuggingFaceTokenizer", base.tokenizer)  # the only kind that a HuggingFaceHost is made with
    return HuggingFaceHost(model, tokenizer, name=f"{base.name}+{name}", tap_points=[base.num_layers - 1])


def _resume(
    checkpoints: Path | None, named: Sequence[tuple[str, Tensor]], optimizer: torch.optim.Optimizer, run: Mapping[str, Any]
) -> tuple[list[float], int]:
    """Put model and optimiser where the last checkpoint left them; its losses and its number of tokens."""
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
            parameter.copy_(checkpoint.tensors[f"model/{name}"])
    state = {k.removeprefix("optimizer/"): v for k, v in checkpoint.tensors.items() if k.startswith("optimizer/")}
    restore_optimizer(optimizer, named, state)
    return list(checkpoint.values["losses"]), int(checkpoint.values["tokens"])


def _loss(model: Any, batch: TokenBatch, device: torch.device) -> Tensor:
    """Weighted mean cross-entropy of the labels, natural log."""
    logits: Tensor = model(input_ids=batch.tokens.to(device), use_cache=False).logits
    wanted = logits.flatten(0, 1)[batch.positions.to(device)].float()
    each = functional.cross_entropy(wanted, batch.labels.to(device), reduction="none")
    weights = batch.weights.to(device)
    return (each * weights).sum() / weights.sum()


def _rate(step: int, steps: int) -> float:
    warmup = max(1, round(_WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
