"""The gate inside the server: candidate and live answer the battery in the gaps of decoding, and the gate's own rule
decides."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import Decoding
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.errors import NotReadyError
from builderbrain.gate.battery import Battery, load_battery, refuse_overlap, sealed_is_due, shipped_battery
from builderbrain.gate.evaluate import SubjectAnswer, evaluate
from builderbrain.gate.reader import PROMOTION
from builderbrain.gate.registry import Registry
from builderbrain.gate.report import build_report
from builderbrain.gate.risk import BaseFeatures, RiskJudge
from builderbrain.gate.subject import MAX_PLAN_TOKENS, answer_of, base_features_of
from builderbrain.gate.verdict import Limits
from builderbrain.grammar.base import CompiledConstraint
from builderbrain.hosts.base import Host
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel
from builderbrain.serve.background import Background, Job


class GapSubject:
    """A version as the gate's `Subject`, whose work is done in the gaps: a micro-step for each token of a plan."""

    def __init__(
        self,
        name: str,
        model: RailModel,
        grammar: CompiledConstraint,
        background: Background,
        *,
        max_tokens: int = MAX_PLAN_TOKENS,
    ) -> None:
        self.name = name
        self._model, self._grammar, self._background, self._max_tokens = model, grammar, background, max_tokens

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer:
        """See `Subject`; greedy, so that the seed changes nothing."""
        return self._background.run(lambda: self._decode(prompt, seed))

    def prefix_logprobs(self, prompt: str, continuation: str) -> Tensor:
        """See `Subject`; one micro-step."""
        return self._background.run(lambda: self._teacher_forced(prompt, continuation))

    def _decode(self, prompt: str, seed: int) -> Job[SubjectAnswer]:
        tokens = self._prompt_tokens(prompt)
        room = min(self._max_tokens, self._model.max_length - len(tokens))
        decoding = Decoding(self._model, tokens, SamplingParameters(max_tokens=room, temperature=0.0, seed=seed), self._grammar)
        while decoding.step() is not None:
            yield
        generation = decoding.result()
        return answer_of(generation.text, finished=generation.finish_reason != "length")

    def _teacher_forced(self, prompt: str, continuation: str) -> Job[Tensor]:
        pair, start = self._model.pair, self._prompt_tokens(prompt)
        tokens = (start + self._model.tokenizer.encode(continuation))[: self._model.max_length]
        with torch.no_grad():
            ids = torch.tensor([tokens], dtype=torch.int64, device=pair.host.device)
            logits = pair.logits(pair.forward(ids).fused[:, len(start) - 1 :])[0]
            logprobs = logits.float().log_softmax(dim=-1)
        yield
        return logprobs

    def _prompt_tokens(self, prompt: str) -> list[int]:
        return plan_prompt(self._model.tokenizer, prompt)[: max(1, self._model.max_length - self._max_tokens)]


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


class GapGate:
    """Evaluates versions of a registry, one at a time.

    Args:
        battery: JSONL files; none takes the shipped battery, with its sealed part when it is due.
        judge: scores both, frozen for the comparison.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        host: Host,
        background: Background,
        grammar: CompiledConstraint,
        judge: RiskJudge,
        battery: Sequence[Path] = (),
        limits: Limits | None = None,
        timeout_seconds: float = 600.0,
        max_tokens: int = MAX_PLAN_TOKENS,
        compared: int = 150,
    ) -> None:
        self.registry, self.judge = registry, judge
        self.features = gap_features(host, background)
        self._host, self._background, self._grammar = host, background, grammar
        self._battery, self._limits = tuple(battery), Limits() if limits is None else limits
        self._timeout, self._max_tokens, self._compared = timeout_seconds, max_tokens, compared

    def subject(self, version: str) -> GapSubject:
        """A version, verified and loaded."""
        self.registry.verify(version)
        model = RailModel(self._host, load_rail(self.registry.root / version), weight_version=version)
        return GapSubject(version, model, self._grammar, self._background, max_tokens=self._max_tokens)

    def battery(self) -> Battery:
        """What the next evaluation asks."""
        if self._battery:
            return load_battery(self._battery)
        promotions = sum(entry.event == PROMOTION[1] for entry in self.registry.audit_entries())
        return shipped_battery(sealed=sealed_is_due(promotions))

    def evaluate(self, version: str, live: str, trained_on: Collection[str]) -> dict[str, Any]:
        """The recorded report on a version against the live one.

        Args:
            trained_on: `prompt_hash` of every request that it was trained on.

        Raises:
            BatteryError: one of them is in the battery.
            NotReadyError: the server shut down before the end.
        """
        battery = self.battery()
        refuse_overlap(battery, trained_on)
        attempt = self.registry.begin_attempt(version)
        started = time.monotonic()
        observations = evaluate(
            self.subject(version),
            self.subject(live),
            battery,
            judge=self.judge,
            base_features=self.features,
            timeout_seconds=self._timeout,
            compared=self._compared,
        )
        if self._background.closed:  # what was not answered then says nothing of the candidate
            raise NotReadyError("the server shut down before the gate was through; the candidate is evaluated again by hand")
        report = build_report(
            observations,
            candidate=version,
            live=live,
            attempt=attempt,
            limits=self._limits,
            seed=0,
            battery=battery,
            judge=self.judge,
            base=self._host.name,
            seconds=time.monotonic() - started,
        )
        self.registry.record_report(report)
        return report
