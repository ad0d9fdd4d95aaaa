"""What is watched of a world model on held-out sessions, and the alarms.

- posterior collapse: the posterior says nothing beyond the prior, while reconstruction is no better than the marginal;
- rollout drift: imagined k steps ahead under the real actions, what is predicted is worse than the marginal;
- EVSI: what the gate expected of the calls that were made, against what the answers then changed by the model's own values.
  Their means agree when the model knows how often each answer comes. Whether the acts then pay is measured by
  `builderbrain.eval evsi`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from builderbrain.train.alarms import Alarm
from builderbrain.train.world.config import WatchSection
from builderbrain.train.world.objective import (
    filtered_states,
    kl_divergence,
    observation_log_probability,
    rollout_losses,
)
from builderbrain.train.world.sequences import Sequences, history
from builderbrain.world.decision import ACTS, decision_domain
from builderbrain.world.encoding import ACTIONS, LISTEN
from builderbrain.world.gate import AskGate
from builderbrain.world.model import WorldModel

MAX_ROLLOUT = 15


@dataclass(frozen=True, kw_only=True)
class WorldReading:
    """Readings on held-out sessions, in nats a step unless said otherwise.

    Args:
        kl: KL(posterior || prior).
        reconstruction: -log p(o | h, z) with z of the posterior.
        marginal: what is lost by knowing the kind of a step alone.
        drift: loss of what is imagined k = 1, 2, ... steps ahead; shorter when no session is longer.
        drift_rows: sessions that were long enough, by k.
        predicted_gain, realised_gain: means over the calls that were made, in utility, before their cost.
        calls: their number.
    """

    kl: float
    reconstruction: float
    marginal: float
    drift: tuple[float, ...]
    drift_rows: tuple[int, ...]
    predicted_gain: float
    realised_gain: float
    calls: int

    def to_json(self) -> dict[str, Any]:
        """For the log."""
        drift = {str(step + 1): loss for step, loss in enumerate(self.drift)}
        gains = {"predicted": self.predicted_gain, "realised": self.realised_gain, "calls": self.calls}
        return {
            "held_out_kl": self.kl,
            "held_out_reconstruction": self.reconstruction,
            "held_out_marginal": self.marginal,
            "held_out_drift": drift,
            "held_out_evsi": gains,
        }

    def alarms(self, section: WatchSection) -> list[Alarm]:
        """All whose condition holds."""
        found = []
        if self.kl < section.collapse_nats and self.reconstruction > section.collapse_share * self.marginal:
            found.append(
                Alarm(
                    name="posterior_collapse",
                    subject="latent",
                    message=f"the posterior says {self.kl:.4f} nats beyond the prior, reconstruction {self.reconstruction:.3f} "
                    f"of a marginal {self.marginal:.3f}. Lower loss.representation or raise loss.free_nats",
                )
            )
        drifted = [
            step + 1
            for step, (loss, rows) in enumerate(zip(self.drift, self.drift_rows, strict=True))
            if rows >= section.drift_rows and loss > section.drift_share * self.marginal
        ]
        if drifted:
            found.append(
                Alarm(
                    name="rollout_drift",
                    subject="rollout",
                    message=f"{drifted[0]} steps ahead the loss is {self.drift[drifted[0] - 1]:.3f}, that of the marginal "
                    f"{self.marginal:.3f}. Do not trust longer rollouts; raise loss.rollout_steps",
                )
            )
        if self.calls and abs(self.predicted_gain - self.realised_gain) > section.gain_gap:
            found.append(
                Alarm(
                    name="evsi_off",
                    subject="evsi",
                    message=f"calls were expected to gain {self.predicted_gain:.3f} and gained {self.realised_gain:.3f} by the "
                    "model's own values. It does not know how often each answer comes; train longer or on more sessions",
                )
            )
        return found


@torch.no_grad()
def read_world(world: WorldModel, held_out: Sequences, section: WatchSection, *, marginal: float, seed: int) -> WorldReading:
    """All readings; equal seeds give equal ones."""
    generator = torch.Generator().manual_seed(seed)
    device = held_out.actions.device
    rows, length = held_out.actions.shape
    groups = world.config.groups
    states, posterior, prior = filtered_states(
        world, held_out, torch.rand(rows, length, groups, generator=generator).to(device)
    )
    present = held_out.present.float()
    mean = present / present.sum()
    steps = min(MAX_ROLLOUT, length - 1)
    noise = torch.rand(steps, section.rollout_paths, rows, groups, generator=generator).to(device)
    first = torch.zeros(rows, dtype=torch.int64, device=device)
    losses, _, there = rollout_losses(world, held_out, states, first, noise)
    predicted, realised = _gains(world, held_out, section.rows)
    return WorldReading(
        kl=float((kl_divergence(posterior, prior) * mean).sum()),
        reconstruction=float(-(observation_log_probability(world, states, held_out.observations) * mean).sum()),
        marginal=marginal,
        drift=tuple(((losses * there).sum(1) / there.sum(1)).tolist()),
        drift_rows=tuple(there.sum(1).tolist()),
        predicted_gain=sum(predicted) / max(1, len(predicted)),
        realised_gain=sum(realised) / max(1, len(realised)),
        calls=len(predicted),
    )


def _gains(world: WorldModel, held_out: Sequences, rows: int) -> tuple[list[float], list[float]]:
    """Expected and realised gain of the calls in the first `rows` sessions, in utility, before cost."""
    gate = AskGate(world)
    predicted, realised = [], []
    for row in range(min(rows, len(held_out))):
        steps = history(held_out, row, int(held_out.present[row].sum()))
        for end, (action, _) in enumerate(steps):
            if ACTIONS[action] in (LISTEN, *ACTS):
                continue
            name, _, tool = ACTIONS[action].partition(".")
            belief, answered = gate.believe(steps[:end]), gate.believe(steps[: end + 1])
            information = gate.information(decision_domain(name), belief, tool, cost=0.0)
            before, after = (known.weights @ gate.utilities(known.state) for known in (belief, answered))
            predicted.append(information.gross)
            realised.append(float(after.max() - after[before.argmax()]))
    return predicted, realised
