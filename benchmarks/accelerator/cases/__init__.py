"""The cases of every operation."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.accelerator.case import Case


def all_cases(*, small: bool) -> Iterator[Case]:
    """Cases at the sizes of language models; `small` ones have the same form and run on a CPU in seconds."""
    from benchmarks.accelerator.cases import gated_fusion

    for room in (gated_fusion,):
        yield from room.cases(small=small)
