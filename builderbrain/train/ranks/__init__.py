"""Several processes that are one run: each takes some parts of a step's batch, and all hold the same state after it."""

from __future__ import annotations

from builderbrain.train.ranks.join import join_ranks
from builderbrain.train.ranks.ranks import JSON, Codec, Ranks

__all__ = ["JSON", "Codec", "Ranks", "join_ranks"]
