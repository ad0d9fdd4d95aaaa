"""A ragged batch whose tensors stay where they are, so that what was recorded over them can be replayed for other tokens.

What is not there looks like nothing to the kernels: a place without rows has two equal `starts` and the length 0, and a row
without a place has the slot -1, where nothing is written (`bbkernels.ragged_attention`, `bbkernels.page_write`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from builderbrain.hosts.ragged import RaggedBatch


class StaticBatch:
    """Room for `rows` tokens of as many sequences, each of at most `width` pages.

    What is told is gathered in page-locked memory of the host and sent in two copies that nobody waits for.
    """

    def __init__(self, rows: int, width: int, device: torch.device) -> None:
        self.rows, self.width = rows, width
        self._cuda = device.type == "cuda"
        numbers = 3 * 8 * rows + 4 * (2 * rows + 1)
        self._sent: Any = None
        self._host, self._host_table = self._locked(numbers, torch.uint8), self._locked(rows * width, torch.int32)
        self._told = _parts(self._host, rows)
        self._numbers = torch.zeros(numbers, dtype=torch.uint8, device=device)
        self._device_table = torch.zeros(rows * width, dtype=torch.int32, device=device)
        self._table = torch.zeros(rows, width, dtype=torch.int32, device=device)
        self._held = _parts(self._numbers, rows)

    def _locked(self, size: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(size, dtype=dtype, pin_memory=self._cuda)

    def of_size(self, rows: int) -> RaggedBatch:
        """The first `rows` tokens and places, as a batch. Its tensors are always the same memory."""
        tokens, positions, slots, lengths, starts = self._held
        return RaggedBatch(
            tokens=tokens[:rows], positions=positions[:rows], starts=starts[: rows + 1], lengths=lengths[:rows],
            table=self._table[:rows], slots=slots[:rows],
        )  # fmt: skip

    def clear(self) -> None:
        """Hold nobody's tokens."""
        self._wait()
        for part, empty in zip(self._told, (0, 0, -1, 0, 0), strict=True):
            part.fill_(empty)
        self._send()

    def fill(self, batch: RaggedBatch) -> None:
        """Hold a batch that lies on the CPU and fits."""
        self._wait()
        count, sequences = len(batch.tokens), len(batch.lengths)
        parts = ((batch.tokens, 0), (batch.positions, 0), (batch.slots, -1), (batch.lengths, 0), (batch.starts, count))
        for held, (given, empty) in zip(self._told, parts, strict=True):
            held[: len(given)] = given
            held[len(given) :] = empty
        used = batch.table.shape[1]
        self._host_table[: sequences * used] = batch.table.flatten()
        self._device_table[: sequences * used].copy_(self._host_table[: sequences * used], non_blocking=True)
        self._table[:sequences, :used] = self._device_table[: sequences * used].view(sequences, used)
        self._send()

    def _send(self) -> None:
        self._numbers.copy_(self._host, non_blocking=True)
        if self._cuda:
            self._sent = self._sent or torch.cuda.Event()
            self._sent.record()

    def _wait(self) -> None:
        """Until what was sent before has left the host's memory."""
        if self._sent is not None:
            self._sent.synchronize()


def _parts(memory: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Tokens, positions and slots int64 [rows], lengths int32 [rows] and starts int32 [rows + 1] within one piece of memory."""
    wide, narrow = memory[: 24 * rows].view(torch.int64), memory[24 * rows :].view(torch.int32)
    tokens, positions, slots = wide.split(rows)
    lengths, starts = narrow.split([rows, rows + 1])
    return tokens, positions, slots, lengths, starts
