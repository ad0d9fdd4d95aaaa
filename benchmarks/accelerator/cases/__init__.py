"""The cases of every operation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.accelerator.case import Case, Scale


def all_cases(scale: Scale) -> Iterator[Case]:
    """Cases of the same form at the sizes of one scale. What share of its bound a kernel should reach holds for a GPU alone."""
    from benchmarks.accelerator.cases import (
        cached_attention,
        cross_attention,
        four_bit_linear,
        gated_fusion,
        governed_loss,
        masked_sample,
        page_write,
        ragged_attention,
        skill_adapter,
    )

    attention = [cross_attention, cached_attention, ragged_attention, page_write]
    rooms = [gated_fusion, *attention, masked_sample, governed_loss, four_bit_linear, skill_adapter]
    try:
        from benchmarks.accelerator.cases import whole_engine
    except ImportError as error:  # kernels alone can be measured where the engine's packages are not installed
        print(f"whole_engine is left out: {error}", file=sys.stderr)
    else:
        rooms.append(whole_engine)
    for room in rooms:
        for case in room.cases(scale):
            if scale != "accelerator":
                case = replace(case, target=None, lean={}, beats=case.beats if scale == "processor" else {})
            yield case
