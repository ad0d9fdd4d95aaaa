"""Training by hand: a session is a copy of the live rail whose gradients, steps and samples somebody else orders one by one.

The four calls of Tinker's training client: `forward_backward` adds gradients, `optim_step` uses them up, `sample` decodes a
plan with the weights as they are, `save_state` makes a candidate of them. Each runs in the gaps of decoding. A session lives in
memory: what was not saved is gone with the server.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from builderbrain.errors import ConflictError, InvalidRequestError, ResourceNotFoundError, VersionNotFoundError
from builderbrain.gate.gap_subject import GapSubject
from builderbrain.gate.registry import Registry
from builderbrain.gate.subject import RailSubject
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.learn.candidate import Candidate
from builderbrain.learn.config import LearnConfig
from builderbrain.learn.rows import live_rows
from builderbrain.learn.traces import Example
from builderbrain.serve.background import Background, Job
from builderbrain.train.goals import REPO_ASSISTANT
from builderbrain.train.objective import compute_objective
from builderbrain.train.optimizers import step_all
from builderbrain.train.rows import Row

MOST_SESSIONS = 4
MUON_TIMES = 10.0
"""Muon's rate over AdamW's, as in a training of its own."""


@dataclass(frozen=True, kw_only=True)
class Backward:
    """The mean loss in nats of the rows of one `forward_backward`, and their tokens."""

    loss: float
    rows: int
    tokens: int


class TrainingSession:
    """One session; one call at a time."""

    def __init__(self, identifier: str, live: str, candidate: Candidate, background: Background) -> None:
        self.id, self.live, self.candidate = identifier, live, candidate
        self.steps = self.pending_rows = 0
        self.lock = threading.Lock()
        self._background = background

    def forward_backward(self, rows: Sequence[Row]) -> Backward:
        """Add the gradient of the rows' mean loss to those since the last `optim_step`."""
        with self.lock:
            found = self._background.run(lambda: self._backward(rows))
            self.pending_rows += len(rows)
            return found

    def optim_step(self, learning_rate: float) -> float:
        """One step of the optimisers with the gradients so far, which are gone then; returns their norm.

        Raises:
            ConflictError: there are none, or they are not finite; the weights are as they were.
        """
        with self.lock:
            if not self.pending_rows:
                raise ConflictError(
                    "expected gradients to step with, got none; call forward_backward first", field="learning_rate"
                )
            norm = self._background.run(lambda: self._step(learning_rate))
            self.pending_rows = 0
            if not math.isfinite(norm):
                raise ConflictError("the gradients are not finite, and no weight has moved; look at the rows", field="data")
            self.steps += 1
            return norm

    def sample(self, host: Host, grammar: CompiledConstraint, goal: str, max_tokens: int) -> str:
        """The plan that the weights as they are decode greedily for a goal."""
        with self.lock:
            subject = RailSubject(self.id, host, self.candidate.rail.eval(), grammar, max_tokens=max_tokens)
            return GapSubject(subject, self._background).answer(goal, seed=0).plan_text

    def _backward(self, rows: Sequence[Row]) -> Job[Backward]:
        candidate, total, tokens = self.candidate, 0.0, 0
        candidate.rail.train()
        config = candidate.config
        for row in rows:
            batch = candidate.collate([row])
            objective = compute_objective(candidate.pair, batch)
            loss = (
                objective.plan
                + config.policy_weight * objective.policy
                + config.copy_weight * objective.copy
                + config.label_weight * objective.labels
                + config.pin_weight * objective.pins
            ) / len(rows)
            yield
            loss.backward()
            total += float(objective.plan.detach()) / len(rows)
            tokens += batch.tokens.numel()
            yield
        return Backward(loss=total, rows=len(rows), tokens=tokens)

    def _step(self, learning_rate: float) -> Job[float]:
        rail, optimizers = self.candidate.rail, self.candidate.state.optimizers
        norm = float(torch.nn.utils.clip_grad_norm_(rail.parameters(), self.candidate.config.gradient_clip))
        if math.isfinite(norm):
            for optimizer in optimizers:
                times = 1.0 if isinstance(optimizer, torch.optim.AdamW) else MUON_TIMES
                for group in optimizer.param_groups:
                    group["initial_lr"] = times * learning_rate
            step_all(optimizers, 1.0)
        rail.zero_grad(set_to_none=True)
        yield
        return norm


class TrainingSessions:
    """All sessions of one server.

    Args:
        folder: of what is being saved.
        live: names the live version.
    """

    def __init__(
        self,
        folder: Path,
        config: LearnConfig,
        *,
        host: Host,
        grammar: CompiledConstraint,
        background: Background,
        registry: Registry,
        live: Callable[[], str | None],
    ) -> None:
        self._folder, self._config, self._host, self._grammar = folder, config, host, grammar
        self._background, self._registry, self._live = background, registry, live
        self._lock = threading.Lock()
        self._sessions: dict[str, TrainingSession] = {}

    def begin(self, seed: int) -> TrainingSession:
        """A session from the live version.

        Raises:
            ConflictError: there are as many as may be.
            VersionNotFoundError: nothing is live.
        """
        live = self._live()
        if live is None:
            raise VersionNotFoundError("nothing is live to begin with; promote a version first", field="model")
        with self._lock:
            if len(self._sessions) >= MOST_SESSIONS:
                raise ConflictError(f"expected at most {MOST_SESSIONS} sessions; end one", field="sessions")
            config = replace(self._config, steps=1)
            candidate = Candidate(self._host, self._registry.root / live, self._grammar, config, seed=seed)
            made = TrainingSession(f"session-{secrets.token_hex(12)}", live, candidate, self._background)
            self._sessions[made.id] = made
            return made

    def all(self) -> list[TrainingSession]:
        """In the order in which they began."""
        with self._lock:
            return list(self._sessions.values())

    def get(self, identifier: str) -> TrainingSession:
        """One session.

        Raises:
            ResourceNotFoundError: there is none of that id.
        """
        with self._lock:
            found = self._sessions.get(identifier)
        if found is None:
            raise ResourceNotFoundError(f"there is no training session {identifier!r:.80}; begin one", field="session_id")
        return found

    def end(self, identifier: str) -> None:
        """Forget a session."""
        self.get(identifier)
        with self._lock:
            self._sessions.pop(identifier, None)

    def rows(self, session: TrainingSession, examples: Sequence[Example]) -> list[Row]:
        """Examples as rows.

        Raises:
            InvalidRequestError: one does not fit the rail; `field` is its place.
        """
        found, unfit = live_rows(
            examples,
            REPO_ASSISTANT,
            tokenizer=self._host.tokenizer,
            config=session.candidate.rail.config,
            grammar=self._grammar,
            max_length=self._host.max_length,
        )
        if unfit:
            raise InvalidRequestError(
                f"data[{unfit[0]}]: expected a goal and a plan of {REPO_ASSISTANT.name} that fit the base's "
                f"{self._host.max_length} tokens; shorten it or leave it out",
                field=f"data[{unfit[0]}]",
            )
        return [one.row for one in found]

    def sample(self, session: TrainingSession, goal: str, max_tokens: int) -> str:
        """See `TrainingSession.sample`."""
        return session.sample(self._host, self._grammar, goal, max_tokens)

    def save_state(self, session: TrainingSession) -> str:
        """The weights as they are as a version of the registry: a candidate, which the gate has not seen."""
        information: dict[str, Any] = {"trained_by": session.id, "parent": session.live, "steps": session.steps}
        folder = self._folder / f"{session.id}-{session.steps}-{secrets.token_hex(4)}"
        with session.lock:
            session.candidate.save(folder, information, {})
        return self._registry.add(folder, parent=session.live, information=information)
