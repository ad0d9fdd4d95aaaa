"""A host that remembers the states of rows it has run, so that later epochs run nothing of the base but its norm and head.

A row's states depend on its own tokens alone: the base is frozen and causal. On a CPU they do so to the last bit only if the
width of the batch is a multiple of `WIDTH_STEP` (attention kernels treat what is left over by itself; how many rows there are
and what is in them changes nothing). Rows are therefore run padded to such a width, and what a miss returns has been through
the storage type as well: hit or miss, evicted or resumed, a row has the same states. With float32 they are those of the plain
host at such widths, bit for bit; on a GPU, whose kernels are chosen by shape, they agree within rounding. Padding is another
matter: it has the state 0 here, and what the base makes of padding tokens in a plain host. No loss reads it, but gradients
that are summed in groups of tokens (of the skills) may differ in their last bits by where the padding was put.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from bbkernels.governed_loss import OutputHead
from builderbrain.errors import UnsupportedModelError
from builderbrain.hosts.base import BaseStates, Cache, Host, Tokenizer
from builderbrain.hosts.state_rows import RowStates, StorageType, pack
from builderbrain.hosts.state_store import StateStore

WIDTH_STEP = 32
"""Widths of batches at which no kernel of a CPU treats a remainder by itself."""
_CHUNK = 4096


@dataclass(kw_only=True)
class CacheCounts:
    """Rows answered from the stores, rows that the base ran, and bytes read from and written to the stores."""

    hits: int = 0
    misses: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    def to_json(self) -> dict[str, float]:
        """JSON value, the share of hits with it."""
        rows = self.hits + self.misses
        return {**asdict(self), "hit_rate": self.hits / rows if rows else 0.0}


class CachedStates:
    """The `Host` protocol over another host; only `forward` without a key-value cache is remembered.

    Args:
        host: the base.
        stores: looked at in order, the quickest first; a row that is found further down is put into those before.
        kind: the type that states are kept in.
        identity: what the base is called in keys; None reads all of its weights once.

    Raises:
        UnsupportedModelError: there is no identity, and the host has no model to read it from.
    """

    def __init__(
        self, host: Host, stores: Sequence[StateStore], *, kind: StorageType = "bfloat16", identity: str | None = None
    ) -> None:
        self.host, self.stores, self.kind = host, tuple(stores), kind
        self.name, self.d_model, self.vocab_size = host.name, host.d_model, host.vocab_size
        self.num_layers, self.max_length, self.tap_points = host.num_layers, host.max_length, host.tap_points
        self.dtype, self.device = host.dtype, host.device
        self.tokenizer: Tokenizer = host.tokenizer
        self._prefix = _prefix(host, kind, base_identity(host) if identity is None else identity)
        self._counts = CacheCounts()

    def new_cache(self) -> Cache:
        """See `Host`."""
        return self.host.new_cache()

    @torch.no_grad()
    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cache: Cache | None = None) -> BaseStates:
        """States of rows, from the stores where they are; see `Host.forward`. Beyond a row's length they are 0.

        Raises:
            InvalidRequestError, ContextLengthError: as the host, for rows that are not in a store.
        """
        if cache is not None or tokens.ndim != 2 or not tokens.numel():
            return self.host.forward(tokens, lengths=lengths, cache=cache)
        rows, width = tokens.shape
        real = [width] * rows if lengths is None else [int(length) for length in lengths.tolist()]
        if not all(1 <= length <= width for length in real) or len(real) != rows:
            return self.host.forward(tokens, lengths=lengths)  # which says what is wrong
        on_cpu = tokens.cpu()
        keys = [self._key(on_cpu[i, : real[i]]) for i in range(rows)]
        found = [self._find(key) for key in keys]
        missing = [i for i, row in enumerate(found) if row is None]
        for i, row in zip(missing, self._run(on_cpu, real, missing), strict=True):
            found[i] = row
            for store in self.stores:
                store.put(keys[i], row)
            self._counts.bytes_written += row.size
        self._counts.hits += rows - len(missing)
        self._counts.misses += len(missing)
        streams = 2 + len(self.tap_points)
        states = torch.zeros(streams, rows, width, self.d_model, dtype=self.dtype, device=self.device)
        for i, each in enumerate(found):
            if each is not None:
                each.unpack(states[:, i, : real[i]])
        embedding, unembedding, *taps = states.unbind()
        return BaseStates(tokens=tokens.to(self.device), embedding=embedding, unembedding=unembedding, taps=tuple(taps))

    def final_norm(self, states: Tensor) -> Tensor:
        """See `Host`."""
        return self.host.final_norm(states)

    def lm_head(self, states: Tensor) -> Tensor:
        """See `Host`."""
        return self.host.lm_head(states)

    def output_head(self) -> OutputHead:
        """See `Host`."""
        return self.host.output_head()

    def take_counts(self) -> CacheCounts:
        """What happened since the last call."""
        counts, self._counts = self._counts, CacheCounts()
        return counts

    def report(self) -> dict[str, float]:
        """For a log: `take_counts` as JSON, and the bytes kept in each store."""
        return self.take_counts().to_json() | {f"{store.name}_bytes": store.size for store in self.stores}

    def _key(self, tokens: Tensor) -> str:
        return hashlib.sha256(self._prefix + tokens.contiguous().numpy().astype("<i8").tobytes()).hexdigest()

    def _find(self, key: str) -> RowStates | None:
        for depth, store in enumerate(self.stores):
            row = store.get(key)
            if row is not None:
                for above in self.stores[:depth]:
                    above.put(key, row)
                self._counts.bytes_read += row.size
                return row
        return None

    def _run(self, tokens: Tensor, real: Sequence[int], missing: Sequence[int]) -> list[RowStates]:
        """Run the base over some rows, at the next width that leaves no remainder."""
        if not missing:
            return []
        longest = max(real[i] for i in missing)
        width = max(min(-(-longest // WIDTH_STEP) * WIDTH_STEP, self.max_length), longest)
        padded = torch.full((len(missing), width), self.tokenizer.eos_token_id, dtype=torch.int64)
        for place, i in enumerate(missing):
            padded[place, : real[i]] = tokens[i, : real[i]]
        states = self.host.forward(padded.to(self.device), lengths=torch.tensor([real[i] for i in missing]))
        streams = (states.embedding, states.unembedding, *states.taps)
        return [pack(torch.stack([each[place, : real[i]] for each in streams]), self.kind) for place, i in enumerate(missing)]


def base_identity(host: Host) -> str:
    """A digest of the names, shapes, types and contents of a base's weights: any weight that differs gives another one.

    Contents are summed as integers, 4,096 at a time, so that a large model takes seconds where it lies.

    Raises:
        UnsupportedModelError: the host has no model.
    """
    model = getattr(host, "model", None)
    if not isinstance(model, nn.Module):
        raise UnsupportedModelError(
            f"expected a host with a model whose weights can be read, got {type(host).__name__}; give the cache an identity",
            field="model",
        )
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(_sums(value).cpu().numpy().tobytes())
    return digest.hexdigest()


def _sums(value: Tensor) -> Tensor:
    """int64 sums of the content's whole words, and then of the bytes that are left over."""
    data = value.detach().contiguous().flatten().view(torch.uint8)
    whole = data.numel() // (4 * _CHUNK) * (4 * _CHUNK)
    words = data[:whole].view(torch.int32).view(-1, _CHUNK).sum(1, dtype=torch.int64)
    return torch.cat([words, data[whole:].to(torch.int64)])


def _prefix(host: Host, kind: StorageType, identity: str) -> bytes:
    """What all keys of one cache begin with: whatever else than a row's tokens its states depend on."""
    value = {
        "base": identity,
        "taps": list(host.tap_points),
        "dtype": str(host.dtype),
        "device": host.device.type,
        "torch": str(torch.__version__),
        "kept": kind,
        "width": host.d_model,
    }
    return json.dumps(value, sort_keys=True).encode() + b"\n"
