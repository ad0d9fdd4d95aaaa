"""Where new tokens stand and what that means for attention: the same for all blocks of a rail, so it is worked out once.

Letters: B rows, T new tokens, P + T all tokens, W the reading head's window, h half a head's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bbkernels.cross_attention.reference import rotary_angles, turn


@dataclass(frozen=True, kw_only=True)
class Places:
    """Of T new tokens, the first at `offset`.

    `place` int64 [B, T]: where the reading head stands. `position`, `reading`: cosine and sine, [T, 1, h] of the tokens' own
    positions and [B, T, 1, h] of those places. `ahead` int64 [B, T, W]: the tokens from a place on, 0 for those that are not
    there; `known` [B, T, W], 1.0 where they are. `future` bool [T, P + T]: what a token does not see.
    """

    offset: int
    place: Tensor
    position: tuple[Tensor, Tensor]
    reading: tuple[Tensor, Tensor]
    ahead: Tensor
    known: Tensor
    future: Tensor

    @classmethod
    def of(cls, place: Tensor, *, offset: int, window: int, head_size: int, theta: float, like: Tensor) -> Places:
        """For `place` int64 [B, T]; numbers are of the type of `like`."""
        keys = offset + place.shape[1]
        everything = torch.arange(keys, device=place.device)
        positions = everything[offset:]
        ahead = place[..., None] + torch.arange(window, device=place.device)
        known = ahead < keys
        return cls(
            offset=offset,
            place=place,
            position=rotary_angles(positions, head_size // 2, theta, like.dtype),
            reading=rotary_angles(place, head_size // 2, theta, like.dtype),
            ahead=torch.where(known, ahead, 0),
            known=known.to(like.dtype),
            future=everything > positions[:, None],
        )

    def turned(self, x: Tensor, *, back: bool = False) -> Tensor:
        """Heads [B, T, H, D] under the rotary embedding of their own positions, or turned `back` from it."""
        cos, sin = self.position
        return turn(x, cos, -sin if back else sin)

    def turned_query(self, x: Tensor, own: int, *, back: bool = False) -> Tensor:
        """The same of queries, of which the heads from `own` on stand where the reading head stands."""
        cos, sin = self.reading
        there = turn(x[:, :, own:], cos, -sin if back else sin)
        return torch.cat([self.turned(x[:, :, :own], back=back), there], 2)

    def add_reading(self, scores: Tensor, bias: Tensor) -> Tensor:
        """`scores` [..., T, P + T], which are overwritten, with `bias` [..., T, W] added to the tokens from the places on.

        There may be a dimension of heads between B and T.
        """
        ahead, known = (self.ahead, self.known) if bias.ndim == 3 else (self.ahead[:, None], self.known[:, None])
        return scores.scatter_add_(-1, ahead.expand_as(bias), bias * known)

    def of_reading(self, scores: Tensor) -> Tensor:
        """[B, H, T, W], what `add_reading` hands back of a gradient [B, H, T, P + T]."""
        ahead = self.ahead[:, None].expand(-1, scores.shape[1], -1, -1)
        return scores.gather(-1, ahead).mul_(self.known[:, None])
