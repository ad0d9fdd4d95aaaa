"""Tiny hosts of all families, and rails beside them."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from builderbrain.hosts.base import Host
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.tokenizer import HuggingFaceTokenizer
from builderbrain.rail.config import RailConfig
from builderbrain.rail.rail import BuilderRail
from tests.hosts.tiny_models import FAMILIES, tiny_tokenizer


@cache
def family_host(family: str) -> Host:
    return HuggingFaceHost(FAMILIES[family](), HuggingFaceTokenizer(tiny_tokenizer()), name=family)


def make_rail(host: Host, *, seed: int = 0, jitter: float = 0.0, budget: float = 0.5) -> BuilderRail:
    """A small rail; `jitter` moves every parameter, so that it changes the base's output."""
    torch.manual_seed(seed)
    rail = BuilderRail(
        RailConfig(
            base_name=host.name,
            d_model=host.d_model,
            vocab_size=host.vocab_size,
            tap_points=host.tap_points,
            width=24,
            head_size=8,
            num_skills=5,
            proposal_rank=3,
            alpha_budget=budget,
            intents=("greet", "search"),
            actions=("search", "read"),
            token_slots=(("clause", ("search", "read")), ("step", ("1", "2", "3"))),
        )
    ).eval()
    with torch.no_grad():
        for parameter in rail.parameters():
            parameter.add_(jitter * torch.randn_like(parameter))
    return rail


@pytest.fixture(params=sorted(FAMILIES))
def host(request: pytest.FixtureRequest) -> Host:
    """A host of each family."""
    return family_host(request.param)


@pytest.fixture
def llama() -> Host:
    """One host, for what does not depend on the family."""
    return family_host("llama")
