"""Processes that `torchrun` started, over gloo on CPUs and over NCCL where tensors are on GPUs.

Values travel as safetensors and JSON, never pickled. A process that waits for another in vain stops and names it: with the
reason that the other left behind in the store of the rendezvous if it could, else that it does not answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from builderbrain.errors import RankError
from builderbrain.train.ranks.ranks import JSON, Codec, Ranks, T

_REASON_WAIT = 3.0
"""Seconds in which a process that is leaving may say why."""
_FAREWELL = 10.0
"""Seconds in which the others may notice that the first process is leaving."""
_WAITED = "waited in vain"


class RankGroup(Ranks):
    """One of several processes of a run, after all have joined."""

    def __init__(self, store: Any, *, rank: int, size: int, local_rank: int, patience: float) -> None:
        """`store`: key-value store that all reach. `patience`: seconds a process waits for another."""
        self.rank, self.size = rank, size
        self._store, self._local, self._patience = store, local_rank, patience
        self._lost = False

    def device(self, wanted: str) -> str:
        """A GPU of its own for each process of a machine, unless one is named by number."""
        cuda = wanted == "cuda" or (wanted == "auto" and torch.cuda.is_available())
        return f"cuda:{self._local}" if cuda else wanted

    def share(self, mine: Mapping[int, T], codec: Codec[T]) -> list[T]:
        """See `Ranks`. Every value is unpacked, one's own too, so that all processes hold the same."""
        from safetensors.torch import load, save

        packed = {str(key): torch.frombuffer(bytearray(codec.pack(value)), dtype=torch.uint8) for key, value in mine.items()}
        payload = torch.frombuffer(bytearray(save(packed)), dtype=torch.uint8)
        with self._others():
            lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
            dist.all_gather(lengths, torch.tensor([len(payload)]))
            longest = max(int(length) for length in lengths)
            padded = torch.cat([payload, payload.new_zeros(longest - len(payload))])
            every = [torch.empty_like(padded) for _ in range(self.size)]
            dist.all_gather(every, padded)
        found: dict[int, T] = {}
        for bytes_of_rank, length in zip(every, lengths, strict=True):
            for key, value in load(bytes_of_rank[: int(length)].numpy().tobytes()).items():
                found[int(key)] = codec.unpack(value.numpy().tobytes())
        return [found[key] for key in sorted(found)]

    def run_parts(self, parts: int, work: Callable[[int], T], parameters: Sequence[Tensor], codec: Codec[T]) -> Iterator[T]:
        """See `Ranks`. The gradients of each part are kept apart until all are there."""
        said: dict[int, T] = {}
        gradients: dict[int, list[Tensor | None]] = {}
        for index in self.mine(parts):
            said[index] = work(index)
            gradients[index] = [parameter.grad for parameter in parameters]
            for parameter in parameters:
                parameter.grad = None
        everything = self.share(said, codec)
        reached = {index: [gradient is not None for gradient in found] for index, found in gradients.items()}
        for index, present in enumerate(self.share(reached, JSON)):
            self._add_part(index, parameters, present, gradients.pop(index, None))
        yield from everything

    def from_first(self, make: Callable[[], Any]) -> Any:
        """See `Ranks`."""
        return self.share({0: make()} if self.first else {}, JSON)[0]

    def agree(self, subject: str, value: Callable[[], Any]) -> None:
        """See `Ranks`."""
        values = self.share({self.rank: value()}, JSON)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise RankError(
                    f"expected the same {subject} in all processes, got {values[0]!r} in rank 0 and {other!r} in rank {rank}; "
                    "give all of them the same command, the same versions and processors, and an output folder that all see",
                    field="ranks",
                )

    def complaint(self, text: str) -> str:
        """See `Ranks`."""
        return f"rank {self.rank} of {self.size}: {text}"

    def leave(self, reason: str | None = None) -> None:
        """See `Ranks`."""
        if reason is None:
            dist.destroy_process_group()
        elif not self._lost:  # else it is another process that has something to say
            self._bounded(lambda: self._store.set(f"left/{self.rank}", reason))
            self._bounded(dist.destroy_process_group)  # wakes those that wait for this process
            if self.first:  # which may keep the store: the others must have read it
                self._bounded(lambda: self._read_reasons({}, within=_FAREWELL), within=_FAREWELL)

    def _add_part(
        self, index: int, parameters: Sequence[Tensor], present: Sequence[bool], mine: Sequence[Tensor | None] | None
    ) -> None:
        """Add the gradients of one part, which the process that ran it sends to all, as autograd adds them."""
        reached = [parameter for parameter, there in zip(parameters, present, strict=True) if there]
        if not reached:
            return
        if mine is None:
            flat = reached[0].new_empty(sum(parameter.numel() for parameter in reached))
        else:
            flat = torch.cat([gradient.flatten() for gradient in mine if gradient is not None])
        with self._others():
            dist.broadcast(flat, src=index % self.size)
        for parameter, piece in zip(reached, flat.split([parameter.numel() for parameter in reached]), strict=True):
            if parameter.grad is None:
                parameter.grad = torch.empty_like(parameter).copy_(piece.view_as(parameter))
            else:
                parameter.grad += piece.view_as(parameter)

    @contextmanager
    def _others(self) -> Iterator[None]:
        """Around whatever waits for other processes."""
        try:
            yield
        except RuntimeError as error:  # what torch.distributed raises for a closed connection, or for the end of its patience
            raise RankError(self._who(error), field="ranks") from error

    @staticmethod
    def _bounded(ask: Callable[[], None], *, within: float = _REASON_WAIT) -> None:
        """Ask the store, and go on all the same when the process that keeps it is gone or stuck."""

        def tolerant() -> None:
            with suppress(RuntimeError):
                ask()

        asking = threading.Thread(target=tolerant, daemon=True)
        asking.start()
        asking.join(within + 1.0)

    def _who(self, error: RuntimeError) -> str:
        """Which process is missing, and why if it said so."""
        reasons: dict[int, str] = {}
        self._lost = True
        self._bounded(lambda: self._store.set(f"left/{self.rank}", _WAITED))
        self._bounded(lambda: self._read_reasons(reasons, within=_REASON_WAIT))
        for rank, reason in reasons.items():
            if reason != _WAITED:
                return f"rank {rank} of {self.size} left the run: {reason}"
        silent = [rank for rank in range(self.size) if rank != self.rank and rank not in reasons]
        return (
            f"rank {', '.join(map(str, silent))} of {self.size} does not answer: it was killed, lost its connection, or was "
            f"stuck for {self._patience:g} seconds (rank_timeout); start all processes again with the same command, they go on "
            f"from the last checkpoint ({str(error).splitlines()[0][:200]})"
        )

    def _read_reasons(self, reasons: dict[int, str], *, within: float) -> None:
        """Collect what the other processes left behind, until all have or time is up."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        deadline = time.monotonic() + within
        while len(reasons) < len(others) and time.monotonic() < deadline:
            for rank in others:
                if rank not in reasons and self._store.check([f"left/{rank}"]):
                    reasons[rank] = self._store.get(f"left/{rank}").decode()
            time.sleep(0.05)
