"""The latent call graph: which skills a goal asks for and what lies between them, read off the prompt before any plan.

One mean vector of a prompt is too little for many steps, so node i has a learned query of its own that attends over the
prompt's features; then nodes look at one another once, so that a step knows what the others took. With n_i the node states:

    nodes[i]    = W n_i                                      none, or a skill of the domain
    edges[i, j] = sum_r A_t(n_i)_r B_t(n_j)_r + C_t(n_j) + b_t    for i < j: none, seq, parallel, cond

Pairs with i >= j have no score, so no graph that this head can say has a cycle. `decode` cuts the nodes at the first none.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.plan.skeleton import EDGES, LINKS, Edge, Skeleton, with_links
from builderbrain.rail.config import RailConfig

_RANK = 8


@dataclass(frozen=True, kw_only=True)
class PlanScores:
    """Unnormalised: `nodes` [B, N, 1 + skills], option 0 is none; `edges` [B, N, N, 4], in the order of `plan.skeleton.EDGES`.

    Edges with i >= j are 0 and mean nothing.
    """

    nodes: Tensor
    edges: Tensor


class PlanHead(nn.Module):
    """From features [B, T, c] of a prompt to the scores of a graph of at most N nodes."""

    upper: Tensor

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        c, size = config.width, config.plan_nodes
        self.queries = nn.Parameter(torch.randn(size, c) * 0.1)
        self.key = nn.Linear(c, c, bias=False)
        self.value = nn.Linear(c, c, bias=False)
        self.node_norm = nn.RMSNorm(c)
        self.others = nn.Linear(c, 3 * c, bias=False)
        self.mix_norm = nn.RMSNorm(c)
        self.mix = nn.Linear(c, c)
        self.node = nn.Linear(c, 1 + len(config.actions))
        self.source = nn.Linear(c, len(EDGES) * _RANK, bias=False)
        self.target = nn.Linear(c, len(EDGES) * _RANK, bias=False)
        self.edge = nn.Linear(c, len(EDGES))
        self.register_buffer("upper", torch.ones(size, size).triu(1), persistent=False)

    def forward(self, features: Tensor, lengths: Tensor) -> PlanScores:
        """Read a prompt: `features` [B, T, c], right-padded; `lengths` int64 [B] real positions, at least 1 each."""
        length, width = features.shape[1:]
        real = torch.arange(length, device=features.device) < lengths[:, None]
        scores = self.queries @ self.key(features).transpose(1, 2) * width**-0.5
        weights = scores.masked_fill(~real[:, None, :], -torch.inf).softmax(-1)
        nodes = self.queries + weights @ self.value(features)
        query, key, value = self.others(self.node_norm(nodes)).chunk(3, -1)
        nodes = nodes + F.scaled_dot_product_attention(query, key, value)
        nodes = nodes + self.mix(F.silu(self.mix_norm(nodes)))
        source = self.source(nodes).unflatten(-1, (len(EDGES), _RANK))
        target = self.target(nodes).unflatten(-1, (len(EDGES), _RANK))
        edges = torch.einsum("bitr,bjtr->bijt", source, target) * _RANK**-0.5 + self.edge(nodes)[:, None]
        return PlanScores(nodes=self.node(nodes), edges=edges * self.upper[..., None])


def decode_plan_graph(scores: PlanScores, skills: tuple[str, ...], row: int = 0) -> Skeleton:
    """The most probable graph of one row; `skills` are the options after none.

    Its nodes end at the first none. Of the edges the links are taken as scored, and the others follow from them.
    """
    chosen = scores.nodes[row].argmax(-1).tolist()
    size = chosen.index(0) if 0 in chosen else len(chosen)
    kinds = scores.edges[row].argmax(-1).tolist()
    links: dict[tuple[int, int], Edge] = {
        (i, j): EDGES[kinds[i][j]] for i, j in combinations(range(size), 2) if EDGES[kinds[i][j]] in LINKS
    }
    return with_links(tuple(skills[option - 1] for option in chosen[:size]), links)
