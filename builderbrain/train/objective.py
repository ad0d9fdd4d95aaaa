"""The losses of one step: one base forward, one rail forward, and everything read off them.

    minimise  task + sum over constraints of lambda_k * (reading_k - target_k)

The task is the weighted cross-entropy of the answer tokens, plus `policy_weight` times the mean cross-entropy of the
policy heads, plus `copy_weight` times the copy loss: minus the log of the attention that an answer token which stands in
the goal pays to the places where it stands. Nobody has to say which of them is meant. `label_weight` times the loss of the
token labels is added where the data says which part of a goal asks for what: every token of a clause then teaches what its
words mean, where the plan has one or two tokens that do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bbkernels.governed_loss import governed_loss
from builderbrain.rail.heads import PolicyOutput
from builderbrain.rail.pair import Pair
from builderbrain.rail.plan_head import PlanScores
from builderbrain.rail.rail import Memory, RailOutput
from builderbrain.train.batch import Batch
from builderbrain.train.constraints import GoalSignals, Signals
from builderbrain.train.rows import IGNORED
from builderbrain.train.watch import Ease, read_ease


@dataclass(frozen=True, kw_only=True)
class Objective:
    """Readings of one batch; `plan`, `policy`, `copy`, `labels` and `pins` are differentiable scalars in nats.

    `confident` bool [N]: whether the label has more than half of the probability, so that greedy decoding picks it.
    `concept` [R, c]: concept vectors. `skills` int64 [R, T]: skills taken at the goals' tokens. `ease`: what the policy heads
    say about how small the task was made.
    """

    plan: Tensor
    policy: Tensor
    copy: Tensor
    labels: Tensor
    pins: Tensor
    signals: Signals
    confident: Tensor
    concept: Tensor
    skills: Tensor
    ease: Ease


def compute_objective(
    pair: Pair,
    batch: Batch,
    *,
    base_text: Tensor | None = None,
    memory: Memory | None = None,
    gumbel: Tensor | None = None,
    temperature: float = 1.0,
    text_positions: Tensor | None = None,
) -> Objective:
    """Run the pair over the goals and over `base_text` int64 [Q, T'] (ordinary text, padded or cut to the goals' width).

    `memory` and `gumbel` cover all R + Q rows. `text_positions` int64 [S] are those of the Q * T' tokens of ordinary text whose
    divergence is read; None reads all of them.
    """
    rows, width = batch.tokens.shape
    tokens, lengths = batch.tokens, batch.lengths
    if base_text is not None:
        tokens = torch.cat([tokens, base_text[:, :width]])
        lengths = torch.cat([lengths, lengths.new_full((base_text.shape[0],), width)])
    output = pair.forward(tokens, lengths=lengths, memory=memory, gumbel=gumbel, temperature=temperature)
    if output.rail is None or pair.rail is None:
        raise ValueError("expected a pair with a rail to train, got a base alone")
    head = pair.host.output_head()
    fused, base = output.fused.flatten(0, 1), output.states.taps[-1].flatten(0, 1)

    # Of an answer's tokens nobody asks how far they are from the base, which knows no plans.
    answer = governed_loss(pair.host.final_norm(fused[batch.positions]), None, head, batch.labels, batch.bitmask)
    text = None
    if base_text is not None:
        positions = torch.arange(rows * width, tokens.numel(), device=tokens.device)
        positions = positions if text_positions is None else positions[text_positions]
        normed, normed_base = pair.host.final_norm(fused[positions]), pair.host.final_norm(base[positions])
        text = governed_loss(normed, normed_base, head, torch.full_like(positions, IGNORED))
    prompt = output.rail.features[:rows, : int(batch.prompt_lengths.max())]
    policy = pair.rail.read_policy(prompt, batch.prompt_lengths)
    plan = pair.rail.read_plan(prompt, batch.prompt_lengths)
    return Objective(
        plan=(answer.cross_entropy * batch.weights).sum() / batch.weights.sum(),
        policy=policy_loss(policy, batch, plan),
        labels=label_loss(output.rail.labels, batch),
        pins=pin_loss(output.rail.choice.score, batch),
        copy=copy_loss(output.rail.copying.weights[:rows], batch),
        signals=Signals(answer=answer, base_text=text, goals=_goal_signals(batch, output.rail, policy, plan)),
        confident=answer.cross_entropy.detach() < math.log(2.0),
        concept=policy.concept.detach(),
        skills=output.rail.choice.skill[:rows].detach(),
        ease=read_ease(policy, batch.weights, pair.rail.config),
    )


def _goal_signals(batch: Batch, rail: RailOutput, policy: PolicyOutput, plan: PlanScores | None) -> GoalSignals:
    rows, width = batch.tokens.shape
    return GoalSignals(
        weights=batch.weights,
        row=batch.positions // width,
        environment=batch.environment,
        real=torch.arange(width, device=batch.tokens.device) < batch.lengths[:, None],
        stream=rail.stream[:rows],
        written=rail.written[:rows],
        skill=rail.choice.skill[:rows],
        probability=rail.choice.probability[:rows],
        decisions=((policy.intent, batch.intent), (policy.actions.flatten(0, 1), batch.actions.flatten())),
        plan=plan,
        nodes=batch.nodes,
        edges=batch.edges,
    )


def copy_loss(weights: Tensor, batch: Batch) -> Tensor:
    """Mean of -log(sum of attention on equal tokens of the prompt) over the answer tokens that have any, nats.

    `weights` [R, T, T]: row, position, where it looks.
    """
    width = batch.tokens.shape[1]
    row, position = batch.positions // width, batch.positions % width
    prompt = torch.arange(width, device=batch.tokens.device) < batch.prompt_lengths[row, None]
    equal = (batch.tokens[row] == batch.labels[:, None]) & prompt
    known = equal.any(-1) & (batch.weights > 0)
    if not bool(known.any()):
        return weights.sum() * 0.0
    mass = (weights[row[known], position[known]] * equal[known]).sum(-1)
    return -mass.clamp(min=1e-6).log().mean()


def label_loss(scores: Sequence[Tensor], batch: Batch) -> Tensor:
    """Mean over the token slots of the mean cross-entropy over the tokens that have a label, nats; 0 without labels.

    `scores` [R + Q, T, 1 + options] per slot.
    """
    rows = batch.tokens.shape[0]
    terms = []
    for slot, score in enumerate(scores):
        labels = batch.token_labels[..., slot]
        known = labels != IGNORED
        if bool(known.any()):
            terms.append(F.cross_entropy(score[:rows][known], labels[known]))
    return torch.stack(terms).mean() if terms else torch.zeros((), device=batch.tokens.device)


def pin_loss(scores: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy of the router over the answer tokens that are pinned to a skill, nats; 0 without any.

    `scores` [R + Q, T, K] before any noise.
    """
    known = batch.pins != IGNORED
    if not bool(known.any()):
        return torch.zeros((), device=batch.tokens.device)
    return F.cross_entropy(scores.flatten(0, 1)[batch.positions[known]], batch.pins[known])


def policy_loss(policy: PolicyOutput, batch: Batch, plan: PlanScores | None = None) -> Tensor:
    """Mean cross-entropy over the policy heads that have labels, nats; nodes and edges of the plan head are two of them."""

    def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor | None:
        known = labels != IGNORED
        return F.cross_entropy(scores[known], labels[known]) if bool(known.any()) else None

    terms = [
        cross_entropy(policy.intent, batch.intent),
        cross_entropy(policy.actions.flatten(0, 1), batch.actions.flatten()),
        cross_entropy(policy.span_start.flatten(0, 1), batch.span_start.flatten()),
        cross_entropy(policy.span_end.flatten(0, 1), batch.span_end.flatten()),
        *(cross_entropy(scores, batch.choices[:, i]) for i, scores in enumerate(policy.choices)),
    ]
    if plan is not None:
        terms += [
            cross_entropy(plan.nodes.flatten(0, 1), batch.nodes.flatten()),
            cross_entropy(plan.edges.flatten(0, 2), batch.edges.flatten()),
        ]
    present = [term for term in terms if term is not None]
    return torch.stack(present).mean() if present else policy.intent.sum() * 0.0
