"""What a run asks of the processes it is made of. `Ranks` is one process alone, for which all of it is identity.

A step's batch is cut into parts, whatever the number of processes. Process `rank` runs parts rank, rank + size, ...; what the
parts say, and their gradients, are put together **in the order of the parts** on every process. Since one process adds its
parts in that order as well, sums are the same bit for bit, however many processes there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Codec(Generic[T]):
    """How a value goes from one process to another; `unpack(pack(value))` is the value, bit for bit. Nothing executable."""

    pack: Callable[[T], bytes]
    unpack: Callable[[bytes], T]


JSON: Codec[Any] = Codec(pack=lambda value: json.dumps(value).encode(), unpack=json.loads)
"""For JSON values; floats come back as they were, NaN and infinities too."""


class Ranks:
    """One process, which is the whole run."""

    rank = 0
    size = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def mine(self, parts: int) -> range:
        """Which of a step's parts this process runs."""
        return range(self.rank, parts, self.size)

    def device(self, wanted: str) -> str:
        """The device that `device=wanted` of a configuration means for this process."""
        return wanted

    def share(self, mine: Mapping[int, T], codec: Codec[T]) -> list[T]:
        """The values of all processes, in the order of their keys, which no two processes share.

        Raises:
            RankError: another process is gone or does not answer.
        """
        return [mine[key] for key in sorted(mine)]

    def run_parts(self, parts: int, work: Callable[[int], T], parameters: Sequence[Tensor], codec: Codec[T]) -> Iterator[T]:
        """What `work` says of every part, in order; the gradients that it leaves on `parameters` add up over all of them.

        Args:
            parts: how many the step has.
            work: runs a part of `mine(parts)` and its backward pass.

        Raises:
            RankError: another process is gone or does not answer.
        """
        for index in range(parts):
            yield work(index)

    def from_first(self, make: Callable[[], Any]) -> Any:
        """A JSON value that the first process makes.

        Raises:
            RankError: another process is gone or does not answer.
        """
        return make()

    def agree(self, subject: str, value: Callable[[], Any]) -> None:
        """Wait for all processes, and see that a JSON value is the same on each.

        Raises:
            RankError: one has another value, is gone or does not answer.
        """

    def say(self, text: str) -> None:
        """Print a line, once for all processes."""
        if self.first:
            print(text, flush=True)

    def complaint(self, text: str) -> str:
        """`text` with the name of this process, where there are several."""
        return text

    def leave(self, reason: str | None = None) -> None:
        """Be done. With a `reason`, the others learn it when they wait for this process in vain."""
