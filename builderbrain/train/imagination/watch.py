"""What is watched of a policy on requests imagined from held-out sessions, and the alarms.

- policy collapse: it calls something in all but every request, or in all but none;
- KL overshoot: it departs from the behaviour by more than its budget.

What is imagined is not what happens: whether the policy pays is measured by `builderbrain.eval evsi`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from builderbrain.train.alarms import Alarm
from builderbrain.train.imagination.config import PolicyWatchSection
from builderbrain.train.imagination.episodes import Episodes, imagine_requests
from builderbrain.train.imagination.starts import Decisions, Starts
from builderbrain.world.model import WorldModel
from builderbrain.world.policy import Policy


@dataclass(frozen=True, kw_only=True)
class PolicyReading:
    """Means over imagined requests.

    Args:
        earned, earned_by_behaviour: net utility of the policy and of the behaviour prior.
        divergence: nats of KL(policy || behaviour).
        calls: number of calls.
        asked: share of requests with a call.
        clone_loss: nats a decision that the behaviour prior loses on what was really done.
    """

    earned: float
    earned_by_behaviour: float
    divergence: float
    calls: float
    asked: float
    clone_loss: float

    def to_json(self) -> dict[str, Any]:
        """For the log."""
        return {
            "held_out_imagined": {"policy": self.earned, "behaviour": self.earned_by_behaviour},
            "held_out_behaviour_kl": self.divergence,
            "held_out_calls": self.calls,
            "held_out_asked": self.asked,
            "held_out_clone": self.clone_loss,
        }

    def alarms(self, section: PolicyWatchSection, *, budget: float) -> list[Alarm]:
        """All whose condition holds."""
        found = []
        if not section.collapse_share <= self.asked <= 1.0 - section.collapse_share:
            does = "always" if self.asked > 0.5 else "never"
            found.append(
                Alarm(
                    name="policy_collapse",
                    subject="actor",
                    message=f"the policy {does} calls something: in {self.asked:.1%} of imagined requests. Raise "
                    "behaviour.target if the budget forbids more, else look at the world model's EVSI (held_out_evsi)",
                )
            )
        if self.divergence > section.overshoot * budget:
            found.append(
                Alarm(
                    name="kl_overshoot",
                    subject="behaviour",
                    message=f"{self.divergence:.2f} nats a request from the behaviour, the budget is {budget:.2f}. "
                    "Raise behaviour.cap or behaviour.eta, or lower learning_rate",
                )
            )
        return found


def reading_of(policy: Episodes, behaviour: Episodes, *, clone_loss: float) -> PolicyReading:
    """Of requests imagined under the policy and under the behaviour prior."""
    return PolicyReading(
        earned=float(policy.earned.mean()),
        earned_by_behaviour=float(behaviour.earned.mean()),
        divergence=float(policy.spent.mean()),
        calls=float(policy.calls.float().mean()),
        asked=float((policy.calls > 0).float().mean()),
        clone_loss=clone_loss,
    )


@torch.no_grad()
def read_policy(
    world: WorldModel, policy: Policy, starts: Starts, decisions: Decisions, section: PolicyWatchSection, *, seed: int
) -> PolicyReading:
    """All readings; equal seeds give equal ones."""
    index = torch.arange(section.requests, device=starts.allowed.device) % len(starts)
    chosen = starts.rows(index)
    episodes = [
        imagine_requests(world, policy, chosen, torch.Generator().manual_seed(seed), behave=behave) for behave in (False, True)
    ]
    return reading_of(*episodes, clone_loss=float(clone_loss(policy, decisions)))


def clone_loss(policy: Policy, decisions: Decisions) -> torch.Tensor:
    """-log pi0 of what was really done, in nats a decision."""
    prior = policy.behaviour_log_probabilities(decisions.features, decisions.allowed)
    return -prior.gather(-1, decisions.actions.unsqueeze(-1)).mean()
