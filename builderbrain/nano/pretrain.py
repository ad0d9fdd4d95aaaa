"""Train the bundled base from scratch: a Llama-type decoder on the corpus of `corpus.py`.

Hidden matrices are updated by Muon (momentum orthogonalised by Newton-Schulz iterations, Jordan et al. 2024), the
rest by AdamW; at this size Muon reaches the same loss in about two thirds of AdamW's steps (LOG.md). The learning rate
warms up, stays, and decays linearly over the last 40 %. The batch at step n depends on (seed, n) alone, so a run that
was killed goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer as BPETokenizer
from torch import Tensor
from torch.nn import functional as F

from builderbrain.errors import ConfigError
from builderbrain.nano.corpus import build_corpus
from builderbrain.nano.tokenizer import END_TOKEN, save_tokenizer, train_tokenizer
from builderbrain.train.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors, restore_optimizer, save_checkpoint
from builderbrain.train.muon import Muon
from builderbrain.train.optimizers import step_all


@dataclass(frozen=True, kw_only=True)
class NanoConfig:
    """Shape of the base and of its training; the defaults are the bundled model."""

    vocab_size: int = 2048
    d_model: int = 192
    num_layers: int = 6
    num_heads: int = 6
    num_key_value_heads: int = 3
    intermediate_size: int = 512
    max_length: int = 2048
    rope_theta: float = 10_000.0

    synthetic_documents: int = 9000
    sequence_length: int = 256
    batch_size: int = 24
    steps: int = 700
    warmup_steps: int = 36
    decay_fraction: float = 0.4
    muon_learning_rate: float = 0.02
    adam_learning_rate: float = 3e-3
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.d_model % self.num_heads:
            raise ConfigError(
                f"expected d_model divisible by num_heads, got {self.d_model} and {self.num_heads}", field="num_heads"
            )


def build_model(config: NanoConfig) -> Any:
    """A randomly initialised `LlamaForCausalLM` in float32; the seed fixes the weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(config.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.d_model,
            intermediate_size=config.intermediate_size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_key_value_heads,
            max_position_embeddings=config.max_length,
            rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
        )
    )


def batch_at(stream: Tensor, config: NanoConfig, step: int) -> Tensor:
    """int64 [batch_size, sequence_length + 1], random windows of the token stream that depend on (seed, step) alone."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    starts = torch.randint(0, len(stream) - config.sequence_length - 1, (config.batch_size,), generator=generator)
    return stream[starts[:, None] + torch.arange(config.sequence_length + 1)]


def learning_rate_scale(config: NanoConfig, step: int) -> float:
    """Warm-up, plateau, linear decay to 0; in [0, 1]."""
    decay = max(1, round(config.decay_fraction * config.steps))
    return min((step + 1) / config.warmup_steps, 1.0, (config.steps - step) / decay)


def build_optimizers(model: Any, config: NanoConfig) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=config.muon_learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(others, lr=config.adam_learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def train_step(model: Any, optimizers: list[torch.optim.Optimizer], batch: Tensor, scale: float) -> float:
    """One update at `scale` times each group's initial learning rate; returns the loss in nats per token."""
    logits = model(batch[:, :-1]).logits
    loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    step_all(optimizers, scale)
    model.zero_grad(set_to_none=True)
    return float(loss.detach())


def pretrain(config: NanoConfig, *, output: Path, checkpoint_every: int = 100, log_every: int = 20) -> Any:
    """Run or resume the whole recipe; returns the trained model in float32.

    Args:
        output: receives `tokenizer.json`, `checkpoints/`, and `log.jsonl`.
        checkpoint_every: steps between checkpoints.
        log_every: steps between log lines.

    Raises:
        ConfigError: `output` holds a run with another configuration or corpus.
    """
    stream = token_stream(config, output)
    model = build_model(config)
    optimizers = build_optimizers(model, config)
    named = list(model.named_parameters())
    checkpoint = load_checkpoint(output / "checkpoints")
    first = 0
    if checkpoint is not None:
        if checkpoint.values["config"] != asdict(config):
            raise ConfigError(f"{output} holds a run with another configuration; choose another folder", field="output")
        first = checkpoint.step
        with torch.no_grad():
            for name, parameter in named:
                parameter.copy_(checkpoint.tensors[f"model/{name}"])
        for i, optimizer in enumerate(optimizers):
            prefix = f"optimizer{i}/"
            state = {k.removeprefix(prefix): v for k, v in checkpoint.tensors.items() if k.startswith(prefix)}
            restore_optimizer(optimizer, named, state)
    model.forward = torch.compile(model.forward)
    started = time.monotonic()
    for step in range(first, config.steps):
        loss = train_step(model, optimizers, batch_at(stream, config, step), learning_rate_scale(config, step))
        if step % log_every == 0 or step + 1 == config.steps:
            seconds = (time.monotonic() - started) / (step + 1 - first)
            row = {"step": step, "loss": round(loss, 4), "seconds_per_step": round(seconds, 3)}
            with open(output / "log.jsonl", "a", encoding="utf-8") as log:
                log.write(json.dumps(row) + "\n")
            print(f"step {step}/{config.steps} loss {loss:.3f} {seconds:.2f} s/step", flush=True)
        if (step + 1) % checkpoint_every == 0 or step + 1 == config.steps:
            tensors = {f"model/{name}": parameter for name, parameter in named if not name.startswith("lm_head")}
            for i, optimizer in enumerate(optimizers):
                tensors |= {f"optimizer{i}/{k}": v for k, v in optimizer_tensors(optimizer, named).items()}
            save_checkpoint(
                output / "checkpoints", Checkpoint(step=step + 1, tensors=tensors, values={"config": asdict(config)})
            )
    del model.forward
    return model.eval()


def token_stream(config: NanoConfig, output: Path) -> Tensor:
    """int64 [N] ids of all training documents, each closed by the end token; trains the tokenizer when it is missing."""
    output.mkdir(parents=True, exist_ok=True)
    corpus = build_corpus(synthetic_documents_count=config.synthetic_documents, seed=config.seed)
    if not (output / "tokenizer.json").exists():
        save_tokenizer(train_tokenizer(corpus.train, vocab_size=config.vocab_size), output, max_length=config.max_length)
    tokenizer = BPETokenizer.from_file(str(output / "tokenizer.json"))
    end = tokenizer.token_to_id(END_TOKEN)
    if end is None:
        raise ConfigError(
            f"expected {END_TOKEN} in {output / 'tokenizer.json'}; delete the file to train it anew", field="output"
        )
    order = torch.randperm(len(corpus.train), generator=torch.Generator().manual_seed(config.seed)).tolist()
    ids: list[int] = []
    for encoding in tokenizer.encode_batch([corpus.train[i] for i in order], add_special_tokens=False):
        ids.extend(encoding.ids)
        ids.append(end)
    return torch.tensor(ids, dtype=torch.long)


def export(config: NanoConfig, *, run: Path, output: Path) -> None:
    """Write the newest checkpoint of a run as a `transformers` folder in bfloat16, with its tokenizer.

    Raises:
        ConfigError: the run has no whole checkpoint, or is of another configuration.
    """
    checkpoint = load_checkpoint(run / "checkpoints")
    if checkpoint is None or checkpoint.values["config"] != asdict(config):
        raise ConfigError(f"expected a run of this configuration in {run}; run `pretrain` first", field="run")
    model = build_model(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(checkpoint.tensors[f"model/{name}"])
    model.to(torch.bfloat16).save_pretrained(output)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(run / name, output / name)
