"""What a run is steered and judged by: fixed goals that training never shows, half of them compositions that it leaves out.

Ordinary text rides along, so that what the rail does to it is known at every evaluation. Two of the readings are **debts**:
they say what a bigger say of the rail would cost.

    safety debt       max(0, KL(pair || base) on ordinary text - target of the KL budget)      nats/token
    calibration debt  ECE of the policy heads' decisions on the held-out goals                 probability
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from builderbrain.rail.pair import Pair
from builderbrain.train.batch import Collator
from builderbrain.train.config import TrainConfig
from builderbrain.train.constraints.calibration import expected_calibration_error
from builderbrain.train.constraints.g2g import edit_distances
from builderbrain.train.constraints.signals import GoalSignals
from builderbrain.train.data import RowSource, base_text_rows
from builderbrain.train.objective import compute_objective
from builderbrain.train.watch.concepts import mean_cosine

DEFER_BELOW = 0.9
"""Decisions of the policy heads that are less sure than this count as deferred."""
_TEXT_STEP = 1 << 30
"""A step that no run reaches: its ordinary text is never trained on."""
_TEXT_ROWS = 4


class HeldOut:
    """The readings of an evaluation."""

    def __init__(self, pair: Pair, source: RowSource, collate: Collator, config: TrainConfig) -> None:
        self.pair = pair
        self.batch = collate(source.held_out(config.evaluation_rows))
        width = self.batch.tokens.shape[1]
        text = base_text_rows(
            pair.host.tokenizer, seed=config.seed, step=_TEXT_STEP, count=_TEXT_ROWS, width=width, domain=source.domain
        )
        self.text = text.to(self.batch.tokens.device)
        self.divergence_target = config.constraints.kl_budget.target

    @torch.no_grad()
    def read(self) -> dict[str, float]:
        """Readings by name, as they are logged; the rail is in the mode it is in.

        `held_out_plan`, `held_out_policy`: nats. `held_out_exact`: share of goals whose plan greedy decoding gives.
        `held_out_tokens_right`: share of plan tokens. `held_out_illegal`: share of plan tokens at which the pair gives most of
        its probability to what the grammar forbids. `held_out_divergence`: nats/token. `held_out_calibration_error`,
        `held_out_deferred`: of the decisions that have a label. `held_out_edit_distance`: mean edits between the plan head's
        graph and the reference's, an upper bound where the search is cut off; only with a plan head. `held_out_concept_cosine`:
        mean over pairs of goals.
        """
        batch = self.batch
        objective = compute_objective(self.pair, batch, base_text=self.text)
        row = batch.positions // batch.tokens.shape[1]
        wrong = row.bincount((~objective.confident).float(), minlength=len(batch.lengths))
        sure = _decisions(objective.signals.goals)
        text = objective.signals.base_text
        readings = {
            "held_out_plan": float(objective.plan),
            "held_out_policy": float(objective.policy),
            "held_out_exact": float((wrong == 0).float().mean()),
            "held_out_tokens_right": float(objective.confident.float().mean()),
            "held_out_illegal": float((objective.signals.answer.energy > math.log(2.0)).float().mean()),
            "held_out_divergence": math.nan if text is None else float(text.divergence.mean()),
            "held_out_calibration_error": expected_calibration_error(sure) if sure else 0.0,
            "held_out_concept_cosine": mean_cosine(objective.concept),
            "held_out_deferred": sum(confidence < DEFER_BELOW for confidence, _ in sure) / max(1, len(sure)),
        }
        plan = objective.signals.goals.plan
        distances = [] if plan is None else [one.upper for one in edit_distances(plan, batch.nodes, batch.edges)]
        return readings | ({"held_out_edit_distance": sum(distances) / len(distances)} if distances else {})

    def debts(self, readings: Mapping[str, float]) -> dict[str, float]:
        """What the budget may not run up, of the readings of an evaluation."""
        return {
            "safety": max(0.0, readings["held_out_divergence"] - self.divergence_target),
            "calibration": readings["held_out_calibration_error"],
        }


def _decisions(goals: GoalSignals) -> list[tuple[float, float]]:
    """Confidence of each decision that has a label, and 1 where it is right."""
    items: list[tuple[float, float]] = []
    for scores, labels in goals.decisions:
        known = labels >= 0
        top, option = scores[known].softmax(-1).max(-1)
        items += zip(top.tolist(), (option == labels[known]).float().tolist(), strict=True)
    return items
