"""How `ragged_attention` is cut into programs; from shapes alone, so that a CUDA graph of it stays true while texts grow.

Tiles are lanes x positions and warps: about the largest that spill on none of sm_80, sm_90 and sm_100 (`resources.json`).

| head size | one row per text, 16 bits | more rows, 16 bits | one row, float32 | more rows, float32 |
|---|---|---|---|---|
| to 64 | 16 x 64, 4 | 128 x 64, 4 | 16 x 32, 4 | 32 x 32, 8 |
| to 128 | 16 x 64, 4 | 128 x 64, 8 | 16 x 32, 8 | 32 x 32, 8 |
| to 256 | 16 x 32, 4 | 32 x 32, 8 | 16 x 32, 8 | 32 x 16, 8 |

64 positions are 32 on devices older than sm_90 and on sm_120. With more than 16 query heads to a head of keys the tiles of more
rows serve one row as well, with as many lanes as there are such heads at least.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from bbkernels.dispatch import interprets

MAX_SIZE = 256
"""Largest head that the kernel holds in registers."""
MOST_SPLITS = 64
"""The joining kernel holds this many parts of a head in registers."""
MOST_PART_BYTES = 1 << 26
"""What parts may take for a moment."""


@dataclass(frozen=True, kw_only=True)
class _Parting:
    """Programs per multiprocessor that parts are made for, and how many positions a part has at least."""

    programs: int
    positions: int


_FEW_ROWS = _Parting(programs=32, positions=128)
"""One row per text and too few of them for every multiprocessor."""
_MANY_ROWS = _Parting(programs=32, positions=512)
"""Far more programs than run at once, so that a long text beside short ones is cut as well; what is written and read for a part
is then at most some hundredths of its keys and values."""
_PIECES = _Parting(programs=8, positions=4096)
"""Prompts: their tiles occupy a device, and parts are for long texts beside them alone."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Lanes, rows and positions of a tile, a head padded to a power of two, tiles, parts, the least blocks of one, warps."""

    lanes: int
    block_rows: int
    block_keys: int
    block_size: int
    tiles: int
    splits: int
    least: int
    warps: int


def plan(
    rows: int,
    sequences: int,
    heads: int,
    groups: int,
    size: int,
    capacity: int,
    dtype: torch.dtype,
    *,
    architecture: int,
    multiprocessors: int,
) -> Plan:
    """For `rows` new tokens of `sequences` texts, of which none sees more than `capacity` positions."""
    group = heads // groups
    single = rows <= sequences and group <= 16
    lanes, keys, warps = _tile(single, size, dtype, architecture)
    lanes = max(lanes, _power_of_two(group))
    block_rows = lanes // group
    tiles = rows // block_rows + sequences + 1
    programs = max(1, min(rows, tiles) * groups)
    parting = _PIECES if rows > sequences else _MANY_ROWS if programs >= multiprocessors else _FEW_ROWS
    least = parting.positions // keys
    parts = min(-(-capacity // parting.positions), parting.programs * multiprocessors // programs, MOST_SPLITS)
    if interprets():
        least, parts = 1, min(4, -(-capacity // keys))
    parts = min(parts, MOST_PART_BYTES // max(1, 4 * rows * heads * size))
    # A power of two: each number of parts is a kernel to compile.
    splits = 1 << (max(1, parts).bit_length() - 1)
    return Plan(
        lanes=lanes, block_rows=block_rows, block_keys=keys, block_size=max(16, _power_of_two(size)), tiles=tiles,
        splits=splits, least=least, warps=warps,
    )  # fmt: skip


def multiprocessors_of(device: torch.device) -> int:
    """Multiprocessors of a device; the interpreter counts as one."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def join_warps(size: int) -> int:
    """Warps of the joining kernel."""
    return 8 if size > 64 else 4


def _tile(single: bool, size: int, dtype: torch.dtype, architecture: int) -> tuple[int, int, int]:
    """Lanes, positions and warps; `single` with about one row per sequence."""
    if interprets():
        return (16, 16, 4) if single else (32, 16, 4)  # so that small inputs take several
    if dtype.itemsize == 4:
        if single:
            return 16, 32, 8 if size > 64 else 4
        return 32, 16 if size > 128 else 32, 8
    keys = 64 if size <= 128 and 90 <= architecture < 120 else 32
    if single:
        return 16, keys, 4
    return (64, keys, 8) if size > 128 else (128, keys, 8 if size > 64 else 4)


def _power_of_two(number: int) -> int:
    """The least that is no smaller."""
    return 1 << max(0, number - 1).bit_length()
