"""Many sequences in one row: their newest tokens side by side, their keys and values in pages.

A step of the server runs the next token of every output and pieces of prompts together. In one row of N tokens nothing is
padded, and the products of a layer see all of them at once. Pages (Kwon et al. 2023, "PagedAttention") are taken as a sequence
grows, and sequences that begin alike may share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class RaggedBatch:
    """N new tokens of S sequences, sequence after sequence.

    `tokens` and `positions` int64 [N]; `starts` int32 [S + 1], the first row of each sequence and N behind them; `lengths`
    int32 [S], positions of each sequence with the new ones; `table` int32 [S, W], the pages of each; `slots` int64 [N], the
    place of each token's keys and values in the pages laid end to end.
    """

    tokens: Tensor
    positions: Tensor
    starts: Tensor
    lengths: Tensor
    table: Tensor
    slots: Tensor

    @classmethod
    def of(
        cls,
        new: Sequence[Sequence[int]],
        known: Sequence[int],
        pages: Sequence[Sequence[int]],
        *,
        page_size: int,
        device: torch.device | str = "cpu",
    ) -> RaggedBatch:
        """From lists: the new tokens of each sequence, how many came before them, and its pages, enough for all.

        Raises:
            ValueError: a sequence has no new token, or too few pages.
        """
        positions: list[int] = []
        slots: list[int] = []
        starts, lengths = [0], []
        for tokens, before, held in zip(new, known, pages, strict=True):
            total = before + len(tokens)
            if not tokens or len(held) * page_size < total:
                raise ValueError(
                    f"expected new tokens and pages for {total} of {page_size} each, got {len(tokens)} and {len(held)} pages"
                )
            mine = range(before, total)
            positions += mine
            slots += [held[at // page_size] * page_size + at % page_size for at in mine]
            starts.append(starts[-1] + len(tokens))
            lengths.append(total)
        width = max(map(len, pages))
        table = [[*held, *[0] * (width - len(held))] for held in pages]
        return cls(
            tokens=torch.tensor([token for tokens in new for token in tokens], dtype=torch.int64, device=device),
            positions=torch.tensor(positions, dtype=torch.int64, device=device),
            starts=torch.tensor(starts, dtype=torch.int32, device=device),
            lengths=torch.tensor(lengths, dtype=torch.int32, device=device),
            table=torch.tensor(table, dtype=torch.int32, device=device),
            slots=torch.tensor(slots, dtype=torch.int64, device=device),
        )

    def to(self, device: torch.device) -> RaggedBatch:
        """The same batch on a device."""
        if self.tokens.device == device:
            return self
        return RaggedBatch(**{part.name: getattr(self, part.name).to(device) for part in fields(self)})

    def last_rows(self) -> Tensor:
        """int64 [S]: the row of each sequence's newest token."""
        return self.starts[1:].long() - 1


class Pages(Protocol):
    """Keys and values of a base in pages; many sequences write to and read from them."""

    num_pages: int
    page_size: int
    """Positions of one page."""

    def copy_page(self, source: int, target: int) -> None:
        """Make a page that says what another one says, so that a sequence can go on where a shared page is half full."""
        ...
