"""Train the chain head of a rail on a graph of tools. Resumable at any step, with the weights of a run that was not killed.

Only the head moves. The rest of the rail is what `start` names, or new, and the base is not even run unless the head reads it.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch.nn.utils import clip_grad_norm_

from builderbrain.errors import ConfigError
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import load_host
from builderbrain.rail.chain_head import ChainHead
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.letters import token_letters
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.trunk import with_new_skills
from builderbrain.train.boot import build_rail, refuse_dead_gradients
from builderbrain.train.checkpoint import load_checkpoint, save_checkpoint
from builderbrain.train.config import TrainConfig
from builderbrain.train.inputs import rail_digest
from builderbrain.train.run_folder import RunFolder
from builderbrain.train.schedule import learning_rate_scale
from builderbrain.train.step import MAX_DROPPED
from builderbrain.train.telemetry import Telemetry, wants_tensorboard
from builderbrain.train.tool_graph.chain_batch import chain_loss, collate, requests_of_step
from builderbrain.train.tool_graph.chain_config import ChainTrainConfig
from builderbrain.train.tool_graph.chain_run_state import ChainRunState
from builderbrain.train.tool_graph.domain import tool_graph_domain
from builderbrain.train.tool_graph.linear_fit import fit_linear
from builderbrain.train.tool_graph.requests import ChainRequest, ChainRequests
from builderbrain.train.tool_graph.section import read_graph_rows

_CHECKED_ROWS = 64
_JITTER = 0.02
_SEEDS_APART = 10_007
"""Between the seeds of two readers of one run."""


class ChainTrainer:
    """One run. `run()` goes from the last checkpoint to the end; `rail` is what it has come to.

    Raises:
        BuilderBrainError: whatever is wrong with the model, the data or the configuration, by name.
    """

    def __init__(self, config: ChainTrainConfig, host: Host | None = None) -> None:
        self.config = config
        self.folder = Path(config.output)
        self.place = RunFolder(self.folder, "rail")
        self.tensorboard = wants_tensorboard(config.tensorboard)
        section = config.tool_graph
        self.rows = read_graph_rows(section)
        inputs = {"start": rail_digest(config.start)} if config.start else {}
        self.host = host or load_host(config.model, device=None if config.device == "auto" else config.device)
        self.requests = ChainRequests(self.rows.chains.chains, self.rows.graph, joined=section.joined, walked=section.walked)
        self.rail = self._rail().to(self.host.device).train()
        self.head = cast(ChainHead, self.rail.chain)
        for reader in self.head.readers:
            reader.dropout, reader.word_dropout = config.dropout, config.word_dropout
        self.steps = max(1, config.epochs * len(self.requests.chains) // config.batch_size)
        self.state = ChainRunState(self.head, config, data=self.rows.digest, inputs=inputs)

    def run(self) -> Path:
        """Check, resume, train, save; returns the folder of the trained rail.

        Raises:
            DeadGradientError: a parameter of the head gets no gradient.
            CheckpointError: the output folder holds a run with another configuration or other rows.
            ConfigError: the loss was not finite five times in a row.
            OutputError: the output folder cannot be written, another run is at work in it, or it holds the result of one.
        """
        with self.place.held():
            return self._run()

    def _run(self) -> Path:
        checkpoint = load_checkpoint(self.folder / "checkpoints")
        if checkpoint is not None:
            self.state.restore(checkpoint)
        state = self.state
        if state.step == self.steps and self.place.is_finished(print):
            return self.place.product
        if state.step == 0:
            self.place.begin(state.identity)
            self.check()
            self.fit()
        telemetry = Telemetry(self.folder, steps=self.steps, first_step=state.step, tensorboard=self.tensorboard)
        if state.step:
            telemetry.note(f"resumed at step {state.step}")
        try:
            while state.step < self.steps:
                values, seen = self.train_step()
                telemetry.record(state.step, values, tokens=seen, headline=f"loss {values['loss']:.3f}")
                state.step += 1
                if state.step % self.config.checkpoint_every == 0 or state.step == self.steps:
                    telemetry.flush()
                    save_checkpoint(self.folder / "checkpoints", state.checkpoint())
        finally:
            telemetry.close()
        self.rail.eval()
        learned = {
            "digest": self.rows.digest,
            "cut": self.config.tool_graph.cut,
            "cut_seed": self.config.tool_graph.cut_seed,
        }
        return self.place.finish(partial(save_rail, self.rail, information={"tool_graph": learned}), print)

    def check(self) -> None:
        """One backward pass on a jittered copy; raises DeadGradientError with the names of dead parameters."""
        head = copy.deepcopy(self.head)
        generator = torch.Generator().manual_seed(self.config.seed)
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.add_(_JITTER * torch.randn(parameter.shape, generator=generator).to(parameter.device))
        for reader in range(len(head.readers)):
            self._loss(head, reader, 0, _CHECKED_ROWS)[0].backward()
        refuse_dead_gradients(head, field="chain")

    def fit(self) -> None:
        """Fit the linear part to the rows' own requests. A checkpoint keeps it, so that a run that goes on need not."""
        own = [ChainRequest(text=one.request, tools=one.tools, environment="plain") for one in self.requests.chains]
        size, names = self.config.batch_size, self.rail.config.actions
        fit_linear(self.head, [collate(own[first : first + size], self.host, names) for first in range(0, len(own), size)])

    def train_step(self) -> tuple[dict[str, Any], int]:
        """One step, which is not counted yet; returns what to log and the number of tokens seen.

        Raises:
            ConfigError: the loss was not finite five times in a row.
        """
        config, state = self.config, self.state
        state.optimizer.zero_grad(set_to_none=True)
        scale = learning_rate_scale(state.step, steps=self.steps, warmup_fraction=config.warmup_fraction)
        value, norm, seen = 0.0, 0.0, 0
        for number in range(len(self.head.readers)):
            loss, tokens = self._loss(self.head, number, state.step, config.batch_size)
            loss.backward()
            mine = clip_grad_norm_(self.head.parameters_of(number), config.gradient_clip)
            value, norm, seen = value + float(loss.detach()), max(norm, float(mine)), seen + tokens
        value /= len(self.head.readers)
        if math.isfinite(norm) and math.isfinite(value):
            state.dropped = 0
            for group in state.optimizer.param_groups:
                group["lr"] = config.learning_rate * scale
            state.optimizer.step()
        else:
            state.dropped += 1
            if state.dropped >= MAX_DROPPED:
                raise ConfigError(
                    f"the loss was not finite {state.dropped} steps in a row, the last at step {state.step + 1}; "
                    "lower learning_rate or look at the rows of that step",
                    field="learning_rate",
                )
        rate = config.learning_rate * scale
        return {"loss": value, "gradient_norm": norm, "learning_rate": rate, "dropped_steps": state.dropped}, seen

    def _loss(self, head: ChainHead, reader: int, step: int, count: int) -> tuple[torch.Tensor, int]:
        """Loss of one reader and the tokens that it was told; readers see requests in orders of their own."""
        config = self.config
        seed = config.seed + _SEEDS_APART * reader
        drawn = requests_of_step(self.requests, seed=seed, step=step, count=count)
        batch = collate(drawn, self.host, self.rail.config.actions)
        # What is dropped at a step depends on (seed, step) alone, so that a run that goes on drops the same.
        with torch.random.fork_rng(devices=[self.host.device] if self.host.device.type == "cuda" else []):
            torch.manual_seed(seed * 1_000_003 + step)
            weights = {"smoothing": config.smoothing, "asked_weight": config.asked_weight}
            loss = chain_loss(head, self.host, batch, reader=reader, **weights)
        return loss, int(batch.lengths.sum())

    def _rail(self) -> BuilderRail:
        """The rail with a new chain head for the graph."""
        config, graph = self.config, self.rows.graph
        names = tuple(graph.tools)
        domain = tool_graph_domain(config.tool_graph)
        plain = TrainConfig(model=config.model, seed=config.seed, output=config.output)
        rail = load_rail(Path(config.start)) if config.start else build_rail(self.host, plain, domain)
        shape: RailConfig = replace(
            rail.config,
            intents=domain.intents,
            actions=domain.actions,
            span_slots=domain.span_slots,
            choice_slots=domain.choice_slots,
            pinned_skills=(),
            plan_nodes=0,
            max_actions=max(rail.config.max_actions, *(len(chain.tools) for chain in self.requests.chains)),
            chain_width=config.width,
            chain_slots=config.slots,
            chain_base=config.reads_base,
            chain_evidence=config.evidence,
            chain_others=config.readers - 1,
            chain_linear=config.linear,
            chain_links=tuple(sorted((names.index(a), names.index(b)) for a, b in graph.links)),
        )
        made = with_new_skills(rail, shape, seed=config.seed)
        cast(ChainHead, made.chain).letters.copy_(token_letters(self.host.tokenizer))
        return made
