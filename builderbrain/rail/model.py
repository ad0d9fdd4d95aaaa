"""A pair of host and rail as a `TokenModel` for decoding, and its policy heads as a reading of a goal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from builderbrain.decode.base import Influence
from builderbrain.decode.cached_state import CachedState
from builderbrain.decode.model import TokenState
from builderbrain.errors import UnsupportedModelError
from builderbrain.hosts.base import Host
from builderbrain.plan.skeleton import Skeleton
from builderbrain.rail.checkpoint import rail_version
from builderbrain.rail.influence import RailInfluence
from builderbrain.rail.pair import Pair, PairCache
from builderbrain.rail.plan_head import decode_plan_graph
from builderbrain.rail.rail import BuilderRail


@dataclass(frozen=True, kw_only=True)
class PolicyReading:
    """First guess at a goal, before any plan: names, and spans of the prompt as half-open token ranges (None: absent)."""

    intent: str
    actions: tuple[str, ...]
    spans: dict[str, tuple[int, int] | None]
    choices: dict[str, str]


class RailModel:
    """A host with a rail as a `TokenModel`; the host may be shared with other rails."""

    def __init__(self, host: Host, rail: BuilderRail, *, weight_version: str | None = None) -> None:
        self.pair = Pair(host, rail.to(host.device).eval())
        self.tokenizer = host.tokenizer
        self.eos_token_id = host.tokenizer.eos_token_id
        self.vocab_size = host.vocab_size
        self.max_length = host.max_length
        self.weight_version = weight_version or rail_version(rail)

    def start(self, prompt_tokens: Sequence[int]) -> TokenState:
        """Run both over the prompt, [T] ids with T >= 1."""
        pair = self.pair

        def logits(tokens: Tensor, cache: PairCache) -> Tensor:
            return pair.logits(pair.forward(tokens, cache=cache).fused[:, -1])[0]

        def influenced(tokens: Tensor, cache: PairCache) -> tuple[Tensor, Influence]:
            output = pair.forward(tokens, cache=cache)
            found = pair.logits(output.fused[:, -1])[0]
            if output.rail is None:
                return found, Influence()
            alone = pair.logits(output.states.taps[-1][:, -1])[0]
            return found, self._influence.of(found, alone, int(output.rail.choice.skill[0, -1]))

        return CachedState(logits, pair.new_cache(), prompt_tokens, pair.host.device, influenced_logits=influenced)

    @cached_property
    def _influence(self) -> RailInfluence:
        if self.pair.rail is None:
            raise UnsupportedModelError("expected a rail, got the base alone", field="rail")
        return RailInfluence(self.pair.rail)

    @torch.no_grad()
    def read_skeleton(self, prompt_tokens: Sequence[int]) -> Skeleton | None:
        """The call graph that the plan head foresees for a prompt; None for a rail without a plan head."""
        rail = self.pair.rail
        if rail is None or rail.plan is None:
            return None
        features = self._features(prompt_tokens)
        scores = rail.plan(features, torch.tensor([features.shape[1]], device=features.device))
        return decode_plan_graph(scores, rail.config.actions)

    @torch.no_grad()
    def read_policy(self, prompt_tokens: Sequence[int]) -> PolicyReading:
        """Intent, actions, spans and choices of a prompt in one pass.

        Raises:
            UnsupportedModelError: the rail was trained without policy heads.
        """
        rail = self.pair.rail
        if rail is None or not rail.config.intents:
            raise UnsupportedModelError("expected a rail trained with intents, got one without policy heads", field="rail")
        features = self._features(prompt_tokens)
        policy = rail.read_policy(features, torch.tensor([features.shape[1]], device=features.device))
        names = ("", *rail.config.actions)
        actions = tuple(names[i] for i in policy.actions[0].argmax(-1).tolist() if i)
        spans: dict[str, tuple[int, int] | None] = {}
        for i, slot in enumerate(rail.config.span_slots):
            spans[slot] = best_span(policy.span_start[0, i], policy.span_end[0, i])
        choices = {
            slot: options[int(scores[0].argmax())]
            for (slot, options), scores in zip(rail.config.choice_slots, policy.choices, strict=True)
        }
        return PolicyReading(
            intent=rail.config.intents[int(policy.intent[0].argmax())], actions=actions, spans=spans, choices=choices
        )

    def _features(self, prompt_tokens: Sequence[int]) -> Tensor:
        """The rail's features [1, T, c] of a prompt."""
        ids = torch.tensor([list(prompt_tokens)], dtype=torch.int64, device=self.pair.host.device)
        output = self.pair.forward(ids)
        if output.rail is None:
            raise UnsupportedModelError("expected a rail, got the base alone", field="rail")
        return output.rail.features


def best_span(start: Tensor, end: Tensor) -> tuple[int, int] | None:
    """Most probable half-open span of scores [T + 1] each, index T meaning "none"; None when that is more probable."""
    length = start.shape[0] - 1
    starts, ends = start.log_softmax(-1), end.log_softmax(-1)
    joint = starts[:length, None] + ends[None, :length]
    joint = joint.masked_fill(~torch.ones_like(joint, dtype=torch.bool).triu(1), -torch.inf)
    best = int(joint.argmax())
    if float(joint.flatten()[best]) <= float(starts[length] + ends[length]):
        return None
    return best // length, best % length
