"""A base that runs no token of the battery twice, so that an evaluation costs the rails' time.

The base is frozen and causal: what it makes of a position depends on the tokens up to it alone, whichever rail reads along. So
states are kept per position under a digest of the prefix, for decoding token by token as for whole rows. Where live's and the
candidate's plans are the same the base runs once, and where a battery is run again with the same live version, on another day
too (`save`, `load`), only for what the new candidate says differently.

The keys and values of the base are made only where a plan leaves what is known: then the base reads that prefix in one piece.
Both versions get the same states for the same prefix, to the last bit.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bbkernels.governed_loss import OutputHead
from builderbrain.errors import TamperedVersionError
from builderbrain.gate.features import BaseFeatures
from builderbrain.gate.registry import Registry
from builderbrain.hosts.base import BaseStates, Cache, Host
from builderbrain.hosts.cached_states import base_identity

logger = logging.getLogger(__name__)
DIGEST_BYTES = 16
MAX_BYTES = 512 << 20
"""Of states kept at most; then new positions are run and not kept. The bundled base has 6 KB a position, room for 87,000."""
STATES_FILE, SIGNED_FILE = "base_states.safetensors", "base_states.json"


@dataclass
class PrefixCache:
    """The tokens one sequence has seen, and the host's own cache, which lags behind until it is needed."""

    inner: Cache
    tokens: list[int] = field(default_factory=list)
    digest: bytes = b""
    """Of all tokens."""
    run: int = 0
    """Tokens the host's own cache holds."""

    def get_seq_length(self) -> int:
        """Number of tokens seen."""
        return len(self.tokens)


class RememberingHost:
    """The `Host` protocol over another host, for one sequence at a time; batches and lengths go through unremembered."""

    def __init__(self, host: Host, *, max_bytes: int = MAX_BYTES) -> None:
        self.host = host
        self.name, self.d_model, self.vocab_size = host.name, host.d_model, host.vocab_size
        self.num_layers, self.max_length, self.tap_points = host.num_layers, host.max_length, host.tap_points
        self.dtype, self.device, self.tokenizer = host.dtype, host.device, host.tokenizer
        self.hits = self.misses = 0
        self.base_seconds = 0.0
        """Spent in the base's layers."""
        self._positions: dict[bytes, Tensor] = {}
        self._room = max_bytes

    def new_cache(self) -> PrefixCache:
        """See `Host`."""
        return PrefixCache(inner=self.host.new_cache())

    @torch.no_grad()
    def forward(self, tokens: Tensor, *, lengths: Tensor | None = None, cache: Cache | None = None) -> BaseStates:
        """See `Host.forward`; states of known positions come without running the base."""
        if cache is None and (lengths is not None or tokens.shape[0] != 1):
            return self._run(tokens, None, lengths)
        prefix = cache if isinstance(cache, PrefixCache) else PrefixCache(inner=self.host.new_cache())
        new: list[int] = tokens[0].tolist()
        keys = _keys(prefix.digest, new)
        known = [self._positions.get(key) for key in keys]
        found = [state for state in known if state is not None]
        prefix.tokens += new
        prefix.digest = keys[-1]
        if len(found) == len(keys):
            self.hits += len(keys)
            return _states(tokens, torch.stack(found, dim=1)[:, None])
        self.misses += len(keys)
        behind = torch.tensor([prefix.tokens[prefix.run :]], dtype=torch.int64, device=self.device)
        states = self._run(behind, None if cache is None else prefix.inner, None)
        prefix.run = len(prefix.tokens)
        rows = torch.stack([states.embedding, states.unembedding, *states.taps])[:, 0, -len(keys) :]
        # What is known stays what it was, so that a prefix has one set of states, however it was reached.
        together = torch.stack([rows[:, i] if state is None else state for i, state in enumerate(known)], dim=1)
        for i, key in enumerate(keys):
            if known[i] is None:
                self._keep(key, together[:, i])
        return _states(tokens, together[:, None])

    def final_norm(self, states: Tensor) -> Tensor:
        """See `Host`."""
        return self.host.final_norm(states)

    def lm_head(self, states: Tensor) -> Tensor:
        """See `Host`."""
        return self.host.lm_head(states)

    def output_head(self) -> OutputHead:
        """See `Host`."""
        return self.host.output_head()

    def save(self, registry: Registry, memory: FeatureMemory) -> None:
        """Keep everything beside a registry's versions for the next evaluation, signed.

        Raises:
            OSError: the write failed; what was there stays.
        """
        from safetensors.torch import save

        from builderbrain.storage import write_atomic

        keys, texts = sorted(self._positions), sorted(memory.rows)
        tensors = {
            "keys": torch.frombuffer(bytearray(b"".join(keys)), dtype=torch.uint8),
            "states": torch.stack([self._positions[key] for key in keys]).cpu() if keys else torch.zeros(0),
            "texts": torch.frombuffer(bytearray(b"".join(texts)), dtype=torch.uint8)
            if texts
            else torch.zeros(0, dtype=torch.uint8),
            "features": torch.from_numpy(np.stack([memory.rows[key] for key in texts])) if texts else torch.zeros(0),
        }
        content = save(tensors)
        write_atomic(registry.root / STATES_FILE, content)
        record = {"sha256": hashlib.sha256(content).hexdigest(), "base": self.identity()}
        registry.write_signed(registry.root / SIGNED_FILE, record)

    def load(self, registry: Registry, memory: FeatureMemory) -> bool:
        """Take up what an earlier evaluation kept; False where there is nothing of this base, or it was altered."""
        from safetensors.torch import load

        signed: Path = registry.root / SIGNED_FILE
        if not signed.exists():
            return False
        try:
            record = registry.read_signed(signed)
            content = (registry.root / STATES_FILE).read_bytes()
        except (TamperedVersionError, OSError) as error:
            logger.warning("the battery's base states are made anew: %s", error)
            return False
        if record.get("base") != self.identity() or record.get("sha256") != hashlib.sha256(content).hexdigest():
            logger.warning("the battery's base states are made anew: they are of another base, or were altered")
            return False
        tensors = load(content)
        for key, row in zip(_split(tensors["keys"]), tensors["states"], strict=True):
            self._keep(key, row.to(self.device))
        for key, row in zip(_split(tensors["texts"]), tensors["features"], strict=True):
            memory.rows[key] = row.numpy()
        return True

    def identity(self) -> str:
        """What the states depend on beside the tokens."""
        parts = (base_identity(self.host), self.tap_points, str(self.dtype), self.device.type, str(torch.__version__))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _keep(self, key: bytes, state: Tensor) -> None:
        size = state.numel() * state.element_size()
        if size <= self._room:
            self._positions[key] = state.clone()
            self._room -= size

    def _run(self, tokens: Tensor, cache: Cache | None, lengths: Tensor | None) -> BaseStates:
        start = time.perf_counter()
        states = self.host.forward(tokens, lengths=lengths, cache=cache)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.base_seconds += time.perf_counter() - start
        return states


class FeatureMemory:
    """`BaseFeatures` that runs the base once per text."""

    def __init__(self, features: BaseFeatures) -> None:
        self._features = features
        self.rows: dict[bytes, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Features [N, d] of N texts."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.rows}
        if missing:
            self.rows.update(zip(missing, self._features(list(missing.values())), strict=True))
        return np.stack([self.rows[key] for key in keys])


def _keys(digest: bytes, tokens: Sequence[int]) -> list[bytes]:
    """The digest of each prefix that ends in one of the tokens."""
    keys = []
    for token in tokens:
        digest = hashlib.blake2b(digest + token.to_bytes(8, "little"), digest_size=DIGEST_BYTES).digest()
        keys.append(digest)
    return keys


def _states(tokens: Tensor, rows: Tensor) -> BaseStates:
    """Base states of tokens [1, T] from rows [streams, 1, T, d]."""
    embedding, unembedding, *taps = rows.unbind()
    return BaseStates(tokens=tokens, embedding=embedding, unembedding=unembedding, taps=tuple(taps))


def _split(digests: Tensor) -> list[bytes]:
    content = digests.numpy().tobytes()
    return [content[start : start + DIGEST_BYTES] for start in range(0, len(content), DIGEST_BYTES)]
