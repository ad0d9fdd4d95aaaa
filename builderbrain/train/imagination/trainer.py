"""Stage 2, after the world model: clone the behaviour, then improve a policy in imagination within a budget of KL to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from builderbrain.hosts.load import check_device
from builderbrain.storage import sha256_file
from builderbrain.train.boot import refuse_dead_gradients
from builderbrain.train.duals import Dual
from builderbrain.train.imagination.config import PolicyTrainConfig
from builderbrain.train.imagination.episodes import Episodes, imagine_requests
from builderbrain.train.imagination.improvement import judge, policy_loss
from builderbrain.train.imagination.starts import read_sessions
from builderbrain.train.imagination.watch import clone_loss, read_policy
from builderbrain.train.same_run import POLICY_RUN
from builderbrain.train.schedule import learning_rate_scale
from builderbrain.train.world.loop import StageRun
from builderbrain.train.world.run_state import RunState
from builderbrain.train.world.trainer import jittered, split_sessions
from builderbrain.world.checkpoint import WEIGHTS_NAME, load_world, save_policy
from builderbrain.world.policy import Policy, PolicyConfig


class PolicyTrainer(StageRun):
    """A run of the policy. The world model is read and never changed.

    Raises:
        DataError: the file of sessions cannot be read, or holds too few.
        CheckpointError, ConfigError: `world` holds no world model, or one of another version.
    """

    def __init__(self, config: PolicyTrainConfig) -> None:
        self.config = config
        device = check_device(config.device)
        folder = Path(config.world)
        self.world = load_world(folder).to(device).requires_grad_(False)
        train, held_out = split_sessions(config)
        self.starts, self.decisions = read_sessions(self.world, train, seed=config.seed)
        self.held_out_starts, self.held_out_decisions = read_sessions(self.world, held_out, seed=config.seed)
        weights = sha256_file(folder / WEIGHTS_NAME)
        sizes = PolicyConfig(features=self.decisions.features.shape[-1], hidden=config.hidden, world=weights)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            self.policy = Policy(sizes).to(device)
        self.dual = Dual(config.behaviour)
        sources = {"data": sha256_file(Path(config.data)), "world": weights}
        super().__init__(RunState(self.policy, config, kind=POLICY_RUN, sources=sources, dual=self.dual), name="policy")

    def check(self) -> None:
        """Refuse dead gradients, of all three networks at once."""
        policy = jittered(self.policy, seed=self.config.seed)
        generator = torch.Generator().manual_seed(self.config.seed)
        clone_loss(policy, self.decisions).backward()
        episodes = imagine_requests(self.world, policy, self.starts, generator)
        judged = judge(policy, episodes, price=1.0, decay=self.config.improvement.decay)
        policy_loss(policy, episodes, judged, self.config.improvement, price=1.0).total.backward()
        refuse_dead_gradients(policy, field="policy")

    def train_step(self) -> tuple[dict[str, Any], int]:
        """One batch of decisions to clone, or of requests to imagine and improve on."""
        config, state = self.config, self.state
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.step)
        values, seen = self._clone(generator) if state.step < config.clone_steps else self._improve(generator)
        values["dropped_steps"] = state.dropped
        alarms = self.step_alarms()
        if self.evaluates:
            reading = read_policy(
                self.world, self.policy, self.held_out_starts, self.held_out_decisions, config.watch, seed=config.seed
            )
            values |= reading.to_json()
            if state.step >= config.clone_steps:
                alarms += state.reading_bell.ring(reading.alarms(config.watch, budget=config.behaviour.target))
        values["alarms"] = [alarm.to_json() for alarm in alarms]
        return values, seen

    def _clone(self, generator: torch.Generator) -> tuple[dict[str, Any], int]:
        """One step of the behaviour prior; the last one makes the actor its copy, so that it departs from KL 0."""
        config, state = self.config, self.state
        index = torch.randint(len(self.decisions), (config.batch_size,), generator=generator)
        batch = self.decisions.rows(index.to(self.decisions.actions.device))
        state.optimizer.zero_grad(set_to_none=True)
        loss = clone_loss(self.policy, batch)
        loss.backward()
        scale = learning_rate_scale(state.step, steps=config.clone_steps, warmup_fraction=config.warmup_fraction)
        norm = self.move(float(loss.detach()), scale)
        if state.step + 1 == config.clone_steps:
            self.policy.actor.load_state_dict(self.policy.behaviour.state_dict())
        return {"clone": float(loss.detach()), "gradient_norm": norm, "learning_rate": config.learning_rate * scale}, len(batch)

    def _improve(self, generator: torch.Generator) -> tuple[dict[str, Any], int]:
        """Imagine requests, improve actor and critic on them, then move the price of nats by what they spent."""
        config, state = self.config, self.state
        index = torch.randint(len(self.starts), (config.batch_size,), generator=generator)
        starts = self.starts.rows(index.to(self.starts.allowed.device))
        episodes = imagine_requests(self.world, self.policy, starts, generator)
        section, price = config.improvement, self.dual.weight
        judged = judge(self.policy, episodes, price=price, decay=section.decay)
        done, steps = state.step - config.clone_steps, config.steps - config.clone_steps
        scale = learning_rate_scale(done, steps=steps, warmup_fraction=config.warmup_fraction)
        norm = critic = actor = 0.0
        for _ in range(section.passes):
            state.optimizer.zero_grad(set_to_none=True)
            loss = policy_loss(self.policy, episodes, judged, section, price=price)
            loss.total.backward()
            norm = self.move(float(loss.total.detach()), scale)
            actor, critic = float(loss.actor.detach()), float(loss.critic.detach())
        values = self._spent(episodes) | {"actor": actor, "critic": critic, "gradient_norm": norm}
        return values | {"learning_rate": config.learning_rate * scale}, int(episodes.present.sum())

    def _spent(self, episodes: Episodes) -> dict[str, Any]:
        reading = float(episodes.spent.mean())
        constraint = {"reading": reading, "dual": self.dual.value, "count": len(episodes.spent)}
        self.dual.update(reading)
        return {
            "imagined": float(episodes.earned.mean()),
            "calls": float(episodes.calls.float().mean()),
            "asked": float((episodes.calls > 0).float().mean()),
            "constraints": {"behaviour_kl": constraint},
        }

    def save(self, folder: Path) -> None:
        """Actor, critic and behaviour prior."""
        save_policy(self.policy, folder)

    def headline(self, values: dict[str, Any]) -> str:
        """What cloning loses; or what is earned and spent in imagination."""
        if "clone" in values:
            return f"clone {values['clone']:.3f}"
        entry = values["constraints"]["behaviour_kl"]
        return (
            f"imagined {values['imagined']:.3f}  calls {values['calls']:.2f}  kl {entry['reading']:.2f}  "
            f"price {entry['dual']:.3f}"
        )
