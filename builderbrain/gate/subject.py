"""A host with a rail as a subject of evaluation, and a host as the judge's source of states."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from builderbrain.agent.answer import compose_dry_run, compose_refusal
from builderbrain.decode.base import SamplingParameters
from builderbrain.decode.generate import Decoding, generate
from builderbrain.decode.plan_prompt import plan_prompt
from builderbrain.errors import PlanSyntaxError
from builderbrain.gate.base_memory import FeatureMemory, RememberingHost
from builderbrain.gate.evaluate import SubjectAnswer
from builderbrain.gate.features import DOMAIN, BaseFeatures
from builderbrain.gate.rehearsal import granted_in
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.xgrammar_engine import XGrammarEngine
from builderbrain.hosts.base import Host
from builderbrain.hosts.load import load_host
from builderbrain.plan import check, load_grammar, parse_text
from builderbrain.rail.checkpoint import load_rail
from builderbrain.rail.model import RailModel
from builderbrain.rail.rail import BuilderRail

MAX_PLAN_TOKENS = 160
MAX_DOMAIN_PLAN_TOKENS = 320
"""The same for domains other than the first, whose calls have more arguments."""
CUT_OFF = "The plan was cut off."
BATCH = 16


class RailSubject:
    """A rail beside a host; several may share one host.

    Args:
        name: the version's id.
        grammar: the domain's plan grammar, compiled for the host's tokenizer.
        temperature: 0 decodes greedily; then live against itself is bit-equal.
        max_tokens: a plan that is longer is cut off, and prompts are cut so that this many fit behind them.
        domain: of the grammar's plans.
    """

    def __init__(
        self,
        name: str,
        host: Host,
        rail: BuilderRail,
        grammar: CompiledConstraint,
        *,
        temperature: float = 0.0,
        max_tokens: int = MAX_PLAN_TOKENS,
        domain: str = DOMAIN,
    ) -> None:
        self.name = name
        self._domain = domain
        self._model = RailModel(host, rail, weight_version=name)
        self._grammar = grammar
        self._temperature = temperature
        self._max_tokens = max_tokens

    def answer(self, prompt: str, *, seed: int) -> SubjectAnswer:
        """Decode a plan and compose the reply of a dry run; no tool is run."""
        tokens, parameters = self._request(prompt, seed)
        generation = generate(self._model, tokens, parameters, self._grammar)
        return answer_of(generation.text, finished=generation.finish_reason != "length", domain=self._domain)

    def answering(self, prompt: str) -> Generator[None, None, SubjectAnswer]:
        """`answer` of greedy decoding, one token of the plan between two yields, for whoever does it in pieces."""
        tokens, parameters = self._request(prompt, 0)
        decoding = Decoding(self._model, tokens, replace(parameters, temperature=0.0), self._grammar)
        while decoding.step() is not None:
            yield
        generation = decoding.result()
        return answer_of(generation.text, finished=generation.finish_reason != "length", domain=self._domain)

    @torch.no_grad()
    def prefix_logprobs(self, prompt: str, continuation: str) -> Tensor:
        """float32 [T, V], T tokens of the continuation and the end token."""
        pair, start = self._model.pair, self._prompt_tokens(prompt)
        tokens = (start + self._model.tokenizer.encode(continuation))[: self._model.max_length]
        ids = torch.tensor([tokens], dtype=torch.int64, device=pair.host.device)
        fused = pair.forward(ids).fused[:, len(start) - 1 :]
        return pair.logits(fused)[0].float().log_softmax(dim=-1)

    def _request(self, prompt: str, seed: int) -> tuple[list[int], SamplingParameters]:
        tokens = self._prompt_tokens(prompt)
        room = min(self._max_tokens, self._model.max_length - len(tokens))
        return tokens, SamplingParameters(max_tokens=room, temperature=self._temperature, seed=seed)

    def _prompt_tokens(self, prompt: str) -> list[int]:
        """The prompt that rails are trained on, cut so that a plan fits behind it."""
        return plan_prompt(self._model.tokenizer, prompt)[: max(1, self._model.max_length - self._max_tokens)]


def plan_tokens_of(domain: str) -> int:
    """How long a plan of a domain may get where nobody says so, in tokens."""
    return MAX_PLAN_TOKENS if domain == DOMAIN else MAX_DOMAIN_PLAN_TOKENS


def answer_of(plan_text: str, *, finished: bool, domain: str = DOMAIN) -> SubjectAnswer:
    """What a decoded plan is answered with in a dry run."""
    if not finished:
        return SubjectAnswer(plan_text=plan_text, response_text=CUT_OFF, valid=True)
    try:
        plan = parse_text(plan_text, domain=domain)
    except PlanSyntaxError as error:
        return SubjectAnswer(plan_text=plan_text, response_text=error.message, valid=False)
    verdict = check(plan, granted=granted_in(domain))
    reply = compose_dry_run(plan) if verdict.accepted else compose_refusal(verdict)
    return SubjectAnswer(plan_text=plan_text, response_text=reply, valid=True)


def base_features_of(host: Host) -> BaseFeatures:
    """The judge's features: the mean over positions of the last tap, float64 [N, d], for texts cut at the host's length."""

    @torch.no_grad()
    def features(texts: Sequence[str]) -> np.ndarray:
        encoded = [host.tokenizer.encode(text)[: host.max_length] for text in texts]
        # Sorted by length, so that little is padded; every row is independent of its neighbours.
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        rows = np.zeros((len(encoded), host.d_model))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            lengths = torch.tensor([max(1, len(encoded[index])) for index in part])
            tokens = torch.full((len(part), int(lengths.max())), host.tokenizer.eos_token_id, dtype=torch.int64)
            for row, index in enumerate(part):
                tokens[row, : len(encoded[index])] = torch.tensor(encoded[index], dtype=torch.int64)
            states = host.forward(tokens.to(host.device), lengths=lengths.to(host.device)).taps[-1].double().cpu()
            real = (torch.arange(tokens.shape[1])[None] < lengths[:, None]).double()[..., None]
            # Padded positions may hold anything, NaN included, so they are replaced and not multiplied away.
            means = torch.where(real > 0, states, 0.0).sum(dim=1) / lengths[:, None]
            rows[part] = means.numpy()
        return rows

    return features


@dataclass(frozen=True, kw_only=True)
class OpenedSubjects:
    """Both versions on one base, and that base for the judge."""

    candidate: RailSubject
    live: RailSubject
    base_features: FeatureMemory
    base_name: str
    base: RememberingHost


def open_subjects(
    root: Path,
    *,
    candidate: str,
    live: str,
    base: str | None,
    domain: str = DOMAIN,
    temperature: float = 0.0,
    max_tokens: int | None = None,
) -> OpenedSubjects:
    """Load two versions of a registry on one base.

    Args:
        root: the registry's folder.
        base: a base model; None is the one the candidate was trained for.
        domain: whose plans both make.
        temperature, max_tokens: of decoding, see `RailSubject`; by default as long as plans of the domain get.

    Raises:
        BuilderBrainError: the base or a rail cannot be loaded, or they do not fit together.
    """
    rails = {version: load_rail(root / version) for version in (candidate, live)}
    config = rails[candidate].config
    host = RememberingHost(load_host(base or config.base_name, tap_points=config.tap_points))
    engine = XGrammarEngine(host.tokenizer, host.vocab_size)
    grammar = engine.compile(Constraint(kind="grammar", source=load_grammar(domain)), trusted=True)
    room = plan_tokens_of(domain) if max_tokens is None else max_tokens
    new, old = (
        RailSubject(version, host, rails[version], grammar, temperature=temperature, max_tokens=room, domain=domain)
        for version in (candidate, live)
    )
    features = FeatureMemory(base_features_of(host))
    return OpenedSubjects(candidate=new, live=old, base_features=features, base_name=host.name, base=host)
