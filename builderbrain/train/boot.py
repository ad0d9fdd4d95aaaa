"""Stage 0: load and freeze the base, insert a rail, and refuse to train on anything that is broken.

Three checks, each the memory of lost runs: the goldens of the domain (plans that must pass and must not), the pair
equals the base bit for bit before the first step, and one backward pass reaches every trainable parameter.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from builderbrain.errors import ConfigError, DeadGradientError, SchemaError
from builderbrain.hosts.base import Host
from builderbrain.plan.goldens import check_goldens
from builderbrain.rail.config import NEXT_SKILL, RailConfig, default_width
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail, Memory
from builderbrain.rail.reading import literal_tokens
from builderbrain.rail.words import spellings
from builderbrain.train.batch import Batch
from builderbrain.train.config import TrainConfig
from builderbrain.train.domain import TrainingDomain
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.objective import compute_objective

_JITTER = 0.02
_MIN_STREAM = 72
"""Narrowest builder stream that still learned to copy names in trials."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What `--dry-run` prints: parameter counts, tokens, and an estimate of the memory that training adds, in bytes."""

    base_parameters: int
    rail_parameters: int
    trainable_parameters: int
    steps: int
    memory_bytes: int
    rows: str = ""
    """What became of the rows of a file."""

    def __str__(self) -> str:
        share = 100 * self.rail_parameters / self.base_parameters
        rows = f"{self.rows}\n" if self.rows else ""
        return (
            f"{rows}base {self.base_parameters:,} parameters (frozen), rail {self.rail_parameters:,} ({share:.1f} %), "
            f"{self.trainable_parameters:,} of them trained, {self.steps} steps, "
            f"about {self.memory_bytes / 2**20:.0f} MiB for rail, gradients, optimiser and activations"
        )


def build_rail(host: Host, config: TrainConfig, domain: TrainingDomain = REPO_ASSISTANT) -> BuilderRail:
    """A new rail for a host, with the heads of a domain; the seed fixes its weights."""
    section = config.rail
    quote_tokens, line_tokens = literal_tokens(host.tokenizer)
    rail_config = RailConfig(
        base_name=host.name,
        d_model=host.d_model,
        vocab_size=host.tokenizer.vocab_size,
        tap_points=host.tap_points,
        width=section.width or max(_MIN_STREAM, default_width(host.d_model, section.reduction)),
        head_size=section.head_size,
        self_heads=section.self_heads,
        reading_heads=section.reading_heads,
        query_heads=section.query_heads,
        latent_heads=section.latent_heads,
        mlp_ratio=section.mlp_ratio,
        word_slots=section.word_slots,
        word_width=section.word_width,
        num_skills=section.num_skills,
        skill_rank=section.skill_rank,
        proposal_rank=section.proposal_rank,
        pinned_skills=pinned_skills(config, domain),
        alpha_budget=config.budget.steps[0],
        quote_tokens=quote_tokens,
        line_tokens=line_tokens,
        intents=domain.intents,
        actions=domain.actions,
        span_slots=domain.span_slots,
        token_slots=domain.token_slots,
        choice_slots=domain.choice_slots,
        plan_nodes=section.plan_nodes,
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        rail = BuilderRail(rail_config)
    rail.words.spelling.copy_(spellings(host.tokenizer))
    return rail


def pinned_skills(config: TrainConfig, domain: TrainingDomain) -> tuple[str, ...]:
    """Names of the skills that are pinned to the domain's node types, if any are."""
    return (NEXT_SKILL, *domain.actions) if config.rail.pinned else ()


def summarise(host: Host, rail: BuilderRail, config: TrainConfig) -> RunSummary:
    """Count parameters and estimate memory: weights, gradients and two moments in float32, and the rail's activations."""
    rail_parameters = sum(parameter.numel() for parameter in rail.parameters())
    trainable = sum(parameter.numel() for parameter in rail.parameters() if parameter.requires_grad)
    tokens = 128 * (config.batch_size + config.base_text_rows)
    per_token = rail.config.num_taps * (24 * rail.config.width + 4 * host.d_model)
    return RunSummary(
        base_parameters=count_base_parameters(host),
        rail_parameters=rail_parameters,
        trainable_parameters=trainable,
        steps=config.steps,
        memory_bytes=4 * rail_parameters + 12 * trainable + 4 * tokens * per_token,
    )


def count_base_parameters(host: Host) -> int:
    """Parameters of the base model, tied ones once."""
    model = getattr(host, "model", None)
    if not isinstance(model, torch.nn.Module):
        raise ConfigError(f"expected a host with a model to count, got {type(host).__name__}", field="model")
    return sum(parameter.numel() for parameter in model.parameters())


def boot_checks(pair: Pair, batch: Batch, *, domain: str | None, version: int | None = None, fresh: bool) -> None:
    """Run all checks of stage 0; only a `fresh` rail has to equal its base.

    Args:
        domain, version: whose goldens are run; without a domain none, without a version those of the one in use.

    Raises:
        SchemaError: a golden of the domain fails.
        DeadGradientError: a trainable parameter gets no gradient, or the pair differs from the base before training.
    """
    failures = () if domain is None else check_goldens(domain, version)
    if failures:
        raise SchemaError(
            f"{len(failures)} goldens fail, the first: {failures[0]}; mend the schema before training", field="schemas"
        )
    with torch.no_grad():
        output = pair.forward(batch.tokens, lengths=batch.lengths)
        if fresh and not torch.equal(pair.logits(output.fused), pair.logits(output.states.taps[-1])):
            raise DeadGradientError("expected a new rail to leave the base's logits alone, but they differ", field="rail")
    check_gradient_flow(pair, batch)


def check_gradient_flow(pair: Pair, batch: Batch) -> None:
    """One backward pass on a jittered copy: every trainable parameter needs a finite, non-zero gradient.

    Zero-initialised tensors hide what lies behind them, so the copy's parameters are jittered first.

    Raises:
        DeadGradientError: names the dead parameters.
    """
    if pair.rail is None:
        raise DeadGradientError("expected a rail to train, got a base alone", field="rail")
    rail = copy.deepcopy(pair.rail).train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in rail.parameters():
            parameter.add_(_JITTER * torch.randn(parameter.shape, generator=generator).to(parameter.device))
    rail.gates.set_budget(0.5)  # away from the cap, where gates saturate
    rows = batch.tokens.shape[0]
    width = rail.config.width
    device = pair.host.device
    memory = Memory(
        tokens=torch.randn(rows, rail.config.max_memory_tokens, width, generator=generator).to(device),
        lengths=torch.full((rows,), rail.config.max_memory_tokens, device=device),
    )
    noise = torch.rand(rows, batch.tokens.shape[1], rail.config.num_routes, generator=generator)
    gumbel = -torch.log(-torch.log(noise.clamp(1e-6, 1 - 1e-6))).to(device) * 4.0
    objective = compute_objective(Pair(pair.host, rail), batch, memory=memory, gumbel=gumbel)
    (objective.plan + objective.policy + objective.copy + objective.labels).backward()
    refuse_dead_gradients(rail, field="rail")


def refuse_dead_gradients(module: torch.nn.Module, *, field: str) -> None:
    """After a backward pass: every trainable parameter needs a finite, non-zero gradient.

    Raises:
        DeadGradientError: names the dead parameters.
    """
    dead = [
        name
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not bool(parameter.grad.isfinite().all()) or not bool(parameter.grad.any()))
    ]
    if dead:
        raise DeadGradientError(
            f"{len(dead)} trainable parameters get no finite, non-zero gradient: {', '.join(dead[:8])}; "
            "something cuts the graph before them, mend it before training",
            field=field,
        )
