"""A version and the judge's features whose work is done in the gaps of a server's decoding, a short step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from builderbrain.gate.evaluate import SubjectAnswer
from builderbrain.gate.features import BaseFeatures
from builderbrain.gate.reader import RegistryReader
from builderbrain.gate.subject import MAX_PLAN_TOKENS, RailSubject, base_features_of
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.background import Background, Job


class GapSubject:
    """A rail as the gate's `Subject`: a micro-step for each token of a plan, greedily. Not for the engine's thread."""

    def __init__(self, subject: RailSubject, background: Background) -> None:
        self.name = subject.name
        self._subject, self._background = subject, background

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer:
        """See `Subject`; greedy, so that the seed changes nothing.

        Raises:
            NotReadyError: the server shut down before the end.
        """
        return self._background.run(lambda: self._subject.answering(prompt))

    def prefix_logprobs(self, prompt: str, continuation: str) -> Tensor:
        """See `Subject`; one micro-step."""

        def job() -> Job[Tensor]:
            found = self._subject.prefix_logprobs(prompt, continuation)
            yield
            return found

        return self._background.run(job)


def gap_version(
    root: Path,
    version: str,
    *,
    host: Host,
    grammar: CompiledConstraint,
    background: Background,
    max_tokens: int = MAX_PLAN_TOKENS,
) -> GapSubject:
    """A version of the registry under `root`, verified and loaded.

    Raises:
        VersionNotFoundError, TamperedVersionError, CheckpointError: it cannot be.
    """
    RegistryReader(root).verify(version)
    rail = load_rail(root / version)
    return GapSubject(RailSubject(version, host, rail, grammar, max_tokens=max_tokens), background)


def gap_features(host: Host, background: Background) -> BaseFeatures:
    """The judge's features, a text in each micro-step."""
    plain = base_features_of(host)

    def job(texts: Sequence[str]) -> Job[np.ndarray]:
        rows = []
        for text in texts:
            rows.append(plain([text]))
            yield
        return np.concatenate(rows) if rows else np.zeros((0, host.d_model))

    return lambda texts: background.run(lambda: job(texts))
