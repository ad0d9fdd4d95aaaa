"""What this machine can do at best: bytes per second copied, operations per second multiplied. Measured, not looked up."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.accelerator.timing import measure


@dataclass(frozen=True, kw_only=True)
class Floors:
    """`copy`: bytes read and written per second by a copy far larger than the cache. `matrix`: operations per second of a
    large bfloat16 product, a multiplication and an addition counting as two."""

    copy: float
    matrix: float


def measure_floors(device: torch.device, *, small: bool) -> Floors:
    """Copy 4 GiB and multiply 8,192 x 8,192 matrices; `small` for a rehearsal without a GPU."""
    count = 1 << (20 if small else 31)
    source = torch.randint(0, 255, (count,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copied = measure(lambda a, b: b.copy_(a), [(source, target)], device)
    del source, target
    size = 256 if small else 8192
    dtype = torch.float32 if small else torch.bfloat16
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    multiplied = measure(torch.mm, [(left, right)], device)
    return Floors(copy=2 * count / copied.median, matrix=2 * size**3 / multiplied.median)
