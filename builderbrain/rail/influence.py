"""What a rail did to the base's next-token distributions, for outputs that ask: divergence, gates and skills.

The base's own logits need no pass of their own: its last state is there beside the fused one, and goes through the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from builderbrain.decode.base import Influence
from builderbrain.hosts.base import RaggedHost
from builderbrain.rail.rail import BuilderRail

if TYPE_CHECKING:
    from builderbrain.rail.batched_model import BatchedState


def divergence(logits: Tensor, base_logits: Tensor) -> float:
    """KL(p || p_0) in nats of p = softmax of `logits` [V] and p_0 of `base_logits` [V], summed in float64.

    One row at a time, so that its bits do not depend on how many others ask.
    """
    log_p, log_q = logits.double().log_softmax(-1), base_logits.double().log_softmax(-1)
    terms = torch.where(log_p > -torch.inf, log_p.exp() * (log_p - log_q), 0.0)
    return float(terms.sum().clamp(min=0.0))


class RailInfluence:
    """What does not depend on the token, of one rail: its gates, and the names of the skills in its rows."""

    def __init__(self, rail: BuilderRail) -> None:
        with torch.no_grad():
            self._alpha = float(rail.gates()[-1].mean())  # of the tap whose fusion gives the logits
        self._skills: dict[int | None, tuple[int | None, str | None]] = {
            record.row: (record.id, record.name) for record in rail.book.live
        }

    def of(self, logits: Tensor, base_logits: Tensor, row: int) -> Influence:
        """Of one token: logits [V] of the pair and of the base alone, and the row of adapters that its skill lies in."""
        skill, name = self._skills.get(row, (None, None))
        return Influence(divergence=divergence(logits, base_logits), alpha=self._alpha, skill=skill, skill_name=name)


def tell_influence(
    host: RaggedHost, sequences: Sequence[BatchedState], logits: Tensor, base: Tensor, skills: Sequence[int]
) -> None:
    """Give watched sequences the influence behind their logits [S, V]; nothing is computed for the others.

    Args:
        base: states [S, d] of the base alone, before its final norm.
        skills: S rows of adapters, those that were chosen; without meaning for the base alone.
    """
    places = [place for place, state in enumerate(sequences) if state.watched and state.model.rail is not None]
    alone = iter(host.ragged_logits(base[places])) if places else iter(())
    for place, state in enumerate(sequences):
        if not state.watched:
            continue
        facts = state.model.influence
        state.influence = Influence() if facts is None else facts.of(logits[place], next(alone), skills[place])
