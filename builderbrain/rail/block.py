"""One builder block: self-attention, cross-attention into its tap, the chosen skill, a gated MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from builderbrain.rail.attention import CrossAttention
from builderbrain.rail.cache import BlockCache
from builderbrain.rail.config import RailConfig
from builderbrain.rail.places import Places
from builderbrain.rail.self_attention import SelfAttention
from builderbrain.rail.skills import SkillAdapters
from builderbrain.rail.stream_norm import StreamNorm
from builderbrain.rail.tap_reading import is_narrow


class GatedMLP(nn.Module):
    """`W_down (silu(W_gate x) * W_up x)`, [B, T, c] -> [B, T, c] (Shazeer 2020)."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        hidden = round(config.mlp_ratio * config.width)
        self.norm = StreamNorm(config.width)
        self.gate_up = nn.Linear(config.width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, config.width, bias=False)

    def forward(self, x: Tensor, *, narrow: bool = False) -> Tensor:
        """What the MLP adds; `narrow` computes it in bfloat16 behind its norm, as PyTorch's autocast would."""
        dtype = torch.bfloat16 if narrow else x.dtype
        gate, up = F.linear(self.norm(x).to(dtype), self.gate_up.weight.to(dtype)).chunk(2, -1)
        return F.linear(F.silu(gate) * up, self.down.weight.to(dtype)).to(x.dtype)


class BuilderBlock(nn.Module):
    """The part of the rail beside one tap."""

    def __init__(self, config: RailConfig) -> None:
        super().__init__()
        self.self_attention = SelfAttention(config)
        self.cross_attention = CrossAttention(config)
        self.skills = SkillAdapters(width=config.width, num_skills=config.num_skills, rank=config.skill_rank)
        self.mlp = GatedMLP(config)
        self.leave_norm = StreamNorm(config.width)
        self.leave = nn.Linear(config.width, config.d_model, bias=False)
        nn.init.zeros_(self.leave.weight)  # the pair equals the base at step 0

    def attend(
        self,
        x: Tensor,
        base: Tensor,
        memory: Tensor,
        memory_lengths: Tensor,
        places: Places,
        *,
        cache: BlockCache | None,
    ) -> Tensor:
        """Both attentions, residual included; `places` of the new tokens."""
        x = x + self.self_attention(x, places, cache=cache, narrow=is_narrow(base, self.leave.weight))
        return x + self.cross_attention(x, base, memory, memory_lengths, offset=places.offset, cache=cache)

    def compute(self, x: Tensor, *, narrow: bool = False) -> Tensor:
        """The MLP, residual included; the skill has been added. `narrow` is for `GatedMLP`."""
        return x + self.mlp(x, narrow=narrow)

    def propose(self, x: Tensor) -> Tensor:
        """The update `W_out h^C` proposed to the base, [B, T, d]."""
        return self.leave(self.leave_norm(x))
