"""Device code of `ragged_attention`; the formula is in `reference.py`.

The query heads that share a head of keys stand as lanes of one tile, `group` lanes for each of its rows: keys and values are
read once for all of them. A tile belongs to one sequence. Which one, the device finds out: sequence s has the tiles from
`starts[s] // block_rows + s` on, at least as many as its rows need. So the number of programs follows from shapes alone, and
those left over end at once. Rows behind the last sequence are one more, of no positions.

Where tiles alone would leave a GPU idle, positions are shared out among `splits` programs per tile (Flash-Decoding, Dao et al.
2023), by the length that the device knows, and a second kernel joins their results. Blocks of positions begin at multiples of
`block_keys`, wherever a tile begins.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["rows", "sequences", "table_stride"])
def ragged_attention_parts(
    query, keys, values, table, starts, lengths, sinks, out, part_mass,
    rows, sequences, query_stride, query_head_stride,
    key_page_stride, key_place_stride, key_head_stride, value_page_stride, value_place_stride, value_head_stride, table_stride,
    scale, window: tl.constexpr, soft_cap: tl.constexpr,
    heads: tl.constexpr, group: tl.constexpr, size: tl.constexpr, block_size: tl.constexpr, lanes: tl.constexpr,
    block_rows: tl.constexpr, block_keys: tl.constexpr, block_sequences: tl.constexpr, page: tl.constexpr,
    least: tl.constexpr, product: tl.constexpr,
):  # fmt: skip
    """out [N, H, splits, D] and part_mass float32 [N, H, splits], base-2 logarithms, -inf and no `out` for an empty part.

    Without `part_mass` (None) there is one part and `out` is the result, 0 where nothing was seen.
    """
    tile = tl.num_programs(0) - 1 - tl.program_id(0)  # those with most before them first
    shared, split = tl.program_id(1), tl.program_id(2)
    splits = tl.num_programs(2)
    number = tl.arange(0, block_sequences)
    begins = tl.load(starts + number, mask=number <= sequences, other=0)
    sequence = tl.sum(((number <= sequences) & (begins // block_rows + number <= tile)).to(tl.int32), 0) - 1
    real = sequence < sequences
    first_row = tl.load(starts + sequence)
    end_row = tl.load(starts + sequence + 1, mask=real, other=0)
    end_row = tl.where(real, end_row, rows)
    length = tl.load(lengths + sequence, mask=real, other=0)
    tile_row = first_row + (tile - first_row // block_rows - sequence) * block_rows
    if tile_row >= end_row:
        return

    lane = tl.arange(0, lanes)
    row = tile_row + lane // group
    head = shared * group + lane % group
    held = (lane < block_rows * group) & (row < end_row)
    at = length - end_row + row
    d = tl.arange(0, block_size)
    inside = d < size
    mine = query + row.to(tl.int64)[:, None] * query_stride + head.to(tl.int64)[:, None] * query_head_stride + d[None, :]
    q = tl.load(mine, mask=held[:, None] & inside[None, :], other=0.0).to(product)

    largest = tl.full((lanes,), float("-inf"), tl.float32)
    total = tl.full((lanes,), 0.0, tl.float32)
    if sinks is not None:
        sink = tl.load(sinks + head, mask=held, other=0.0).to(tl.float32) * 1.4426950408889634
        largest = tl.where(split == 0, sink, largest)
        total = tl.where(split == 0, 1.0, total)
    result = tl.full((lanes, block_size), 0.0, tl.float32)
    # Positions that any row of the tile sees, and the blocks of them that are this program's.
    end = tl.maximum(length - end_row + tl.minimum(tile_row + block_rows, end_row), 0)
    begin = 0
    if window > 0:
        begin = tl.maximum(length - end_row + tile_row - window + 1, 0)
    first_block = begin // block_keys
    end_block = (end + block_keys - 1) // block_keys
    share = tl.maximum((end_block - first_block + splits - 1) // splits, least)
    mine_first = first_block + split * share
    numbers = table + sequence.to(tl.int64) * table_stride
    for block in range(mine_first, tl.minimum(mine_first + share, end_block)):
        place = block * block_keys + tl.arange(0, block_keys)
        there = (place >= begin) & (place < end)
        entry = tl.load(numbers + place // page, mask=there, other=0).to(tl.int64)
        slot = (place % page).to(tl.int64)
        read = there[:, None] & inside[None, :]
        source = entry * key_page_stride + slot * key_place_stride + shared.to(tl.int64) * key_head_stride
        k = tl.load(keys + source[:, None] + d[None, :], mask=read, other=0.0).to(product)
        source = entry * value_page_stride + slot * value_place_stride + shared.to(tl.int64) * value_head_stride
        v = tl.load(values + source[:, None] + d[None, :], mask=read, other=0.0).to(product)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        if soft_cap > 0.0:
            # tanh(x) = 1 - 2 / (1 + exp(2 x)), with an error as of a score as large as the cap.
            scores = soft_cap * (1.0 - 2.0 / (1.0 + tl.exp2(scores * (2.8853900817779268 / soft_cap))))
        seen = place[None, :] <= at[:, None]
        if window > 0:
            seen = seen & (place[None, :] > at[:, None] - window)
        scores = tl.where(seen, scores * 1.4426950408889634, float("-inf"))
        new = tl.maximum(largest, tl.max(scores, 1))
        base = tl.where(new == float("-inf"), 0.0, new)  # a row that has seen nothing yet
        p = tl.exp2(scores - base[:, None])
        shrink = tl.exp2(largest - base)
        total = total * shrink + tl.sum(p, 1)
        result = tl.dot(p.to(product), v, result * shrink[:, None], input_precision="ieee")
        largest = new

    whole = tl.where(total == 0.0, 1.0, total)  # one that is NaN is to be seen
    line = (row.to(tl.int64) * heads + head) * splits + split
    stored = held
    if part_mass is not None:
        tl.store(part_mass + line, tl.where(total == 0.0, float("-inf"), largest + tl.log2(whole)), mask=held)
        stored = held & (total != 0.0)
    target = out + line[:, None] * size + d[None, :]
    tl.store(target, (result / whole[:, None]).to(out.dtype.element_ty), mask=stored[:, None] & inside[None, :])


@triton.jit
def ragged_attention_join(part_out, part_mass, out, splits: tl.constexpr, size: tl.constexpr, block: tl.constexpr):
    """out [N, H, D]: the parts, weighted by their share of the sum of exponentials; 0 where all are empty."""
    line = tl.program_id(0).to(tl.int64)
    split = tl.arange(0, splits)
    d = tl.arange(0, block)
    mass = tl.load(part_mass + line * splits + split)
    some = mass != float("-inf")
    largest = tl.max(mass, 0)
    weight = tl.exp2(mass - tl.where(largest == float("-inf"), 0.0, largest))
    part = part_out + (line * splits + split)[:, None] * size + d[None, :]
    parts = tl.load(part, mask=some[:, None] & (d < size)[None, :], other=0.0)
    total = tl.sum(weight, 0)
    value = tl.sum(parts * weight[:, None], 0) / tl.where(total == 0.0, 1.0, total)
    tl.store(out + line * size + d, value.to(out.dtype.element_ty), mask=d < size)
