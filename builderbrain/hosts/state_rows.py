"""How the states of one row are kept: in bfloat16, in float32, or in eight bits with one scale per state vector.

Letters: S kept streams (embedding, unembedding, taps), L tokens of the row, d base width.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

StorageType = Literal["bfloat16", "float32", "float8"]

_TYPES: dict[StorageType, torch.dtype] = {
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float8": torch.float8_e4m3fn,
}
_LARGEST = torch.finfo(torch.float8_e4m3fn).max
_MAGIC = b"builderbrain-states-1\n"


@dataclass(frozen=True, kw_only=True)
class RowStates:
    """`values` [S, L, d] on the CPU in the type they are kept in; `scales` float32 [S, L, 1] with float8, else None."""

    values: Tensor
    scales: Tensor | None

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return self.values.nbytes + (0 if self.scales is None else self.scales.nbytes)

    def unpack(self, out: Tensor) -> None:
        """Write the states into `out` [S, L, d], of any floating type and on any device."""
        if self.scales is None:
            out.copy_(self.values)
        else:
            out.copy_(self.values.to(out.device).to(torch.float32).mul_(self.scales.to(out.device)))


def pack(states: Tensor, kind: StorageType) -> RowStates:
    """Keep states [S, L, d]; float8 (e4m3) is scaled so that the largest channel of each vector just fits."""
    if kind != "float8":
        return RowStates(values=states.to(device="cpu", dtype=_TYPES[kind], copy=True), scales=None)
    wide = states.float()
    scales = wide.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny * _LARGEST) / _LARGEST
    values = (wide / scales).clamp_(-_LARGEST, _LARGEST).to(torch.float8_e4m3fn)
    return RowStates(values=values.cpu(), scales=scales.cpu())


def to_bytes(row: RowStates, key: str) -> bytes:
    """A file's content: a line that says what it is, a line of JSON with key, shape, type and check sum, the numbers."""
    body = _raw(row.values) + (b"" if row.scales is None else _raw(row.scales))
    kind = next(name for name, dtype in _TYPES.items() if dtype == row.values.dtype)
    head = {"key": key, "shape": list(row.values.shape), "type": kind, "crc32": zlib.crc32(body)}
    return _MAGIC + json.dumps(head).encode() + b"\n" + body


def from_bytes(content: bytes, key: str) -> RowStates:
    """What `to_bytes` wrote under the same key.

    Raises:
        ValueError: the content is torn, altered, or of another key.
    """
    if not content.startswith(_MAGIC):
        raise ValueError("not a file of states")
    end = content.index(b"\n", len(_MAGIC))
    try:
        head = json.loads(content[len(_MAGIC) : end])
        shape, kind, crc, theirs = [int(n) for n in head["shape"]], _TYPES[head["type"]], head["crc32"], head["key"]
        streams, length, width = shape
    except (KeyError, TypeError) as error:
        raise ValueError(f"a broken head: {error}") from error
    body = memoryview(content)[end + 1 :]
    scales_size = 4 * streams * length if kind == torch.float8_e4m3fn else 0
    size = streams * length * width * kind.itemsize
    if theirs != key or len(body) != size + scales_size or zlib.crc32(body) != crc:
        raise ValueError("another key, torn or altered")
    numbers = torch.frombuffer(bytearray(body), dtype=torch.uint8)
    scales = numbers[size:].clone().view(torch.float32).view(streams, length, 1) if scales_size else None
    return RowStates(values=numbers[:size].view(kind).view(shape), scales=scales)


def _raw(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()
