"""The weight checker looks at what products really read: the native library's own copies of a base's and a rail's matrices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from builderbrain.decode.model import TokenModel
from builderbrain.hosts.huggingface import HuggingFaceHost
from builderbrain.hosts.load import load_host
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import Batcher
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail
from builderbrain.serve.weights import WeightLedger
from tests.hosts.tiny_models import FAMILIES
from tests.rail.conftest import family_host


@pytest.fixture(scope="module")
def models() -> dict[str, BatchedModel]:
    """The bundled base with the bundled rail and alone, in their native forms."""
    batcher = Batcher(load_host("builderbrain-nano"), num_pages=32)
    made = {"railed": BatchedModel(batcher, load_rail(BUNDLED_RAIL)), "base": BatchedModel(batcher, None)}
    assert made["railed"].native is not None
    return made


@pytest.fixture(scope="module")
def ledger(models: dict[str, BatchedModel]) -> WeightLedger:
    served: dict[str, TokenModel] = dict(models)
    made = WeightLedger(lambda: served, lambda version: None)
    assert differing(made) == {"railed": [], "base": []}
    return made


def differing(ledger: WeightLedger) -> dict[str, list[str]]:
    return {model["model"]: [f"{fault['part']} {fault['tensor']}" for fault in model["differing"]] for model in ledger.check()}


def copies(models: dict[str, BatchedModel]) -> dict[str, Tensor]:
    host, native = models["base"].batcher.host, models["railed"].native
    assert isinstance(host, HuggingFaceHost)
    assert native is not None
    base = {f"base {name}": value for name, value in host.prepared.items()}
    return base | {f"rail {name}": value for name, value in native.prepared.items()}


NAMES = (
    "base prepared.layers.0.query_key_value",
    "base prepared.layers.1.down",
    "base prepared.layers.sine",
    "base prepared.products.head",
    "base prepared.directions.panels",
    "base prepared.directions.table",
    "rail prepared.own.000",
    "rail prepared.own.013",
)


@pytest.fixture(params=NAMES)
def flipped(request: pytest.FixtureRequest, models: dict[str, BatchedModel]) -> Iterator[str]:
    """The name of a copy that has one bit the other way round."""
    name: str = request.param
    words = copies(models)[name].view(-1).view(torch.int32)
    words[7] ^= 1
    yield name
    words[7] ^= 1


def test_a_flipped_bit_of_a_copy_is_found_by_name(ledger: WeightLedger, flipped: str) -> None:
    found = differing(ledger)
    assert found["railed"] == [flipped]
    assert found["base"] == ([flipped] if flipped.startswith("base") else [])


def test_every_matrix_of_the_native_forms_is_among_them(models: dict[str, BatchedModel]) -> None:
    host, rail = models["base"].batcher.host, models["railed"].rail
    assert rail is not None
    names = copies(models)
    for layer in range(host.num_layers):
        for part in ("query_key_value", "output", "gate_up", "down", "attention_norm", "mlp_norm"):
            assert f"base prepared.layers.{layer}.{part}" in names
    own = [name for name in names if name.startswith("rail prepared.own.")]
    # Eight of each block, nine of the rail as a whole (it has labels), and two tables of rotations.
    assert len(own) == 8 * rail.config.num_taps + 9 + 2


def test_a_copy_changes_what_is_said(models: dict[str, BatchedModel]) -> None:
    """What is shown is what is read, and no copy of it."""
    model = models["railed"]

    def logits() -> Tensor:
        state = model.start([5, 6, 7])
        model.batcher.run()
        found = state.logits()
        state.close()
        return found

    said = logits()
    for name in ("base prepared.layers.0.query_key_value", "base prepared.products.head", "rail prepared.own.000"):
        copy = copies(models)[name]
        kept = copy.clone()
        copy.mul_(1.5)
        assert not torch.equal(logits(), said), name
        copy.copy_(kept)
        assert torch.equal(logits(), said)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_base_that_runs_through_its_own_modules_shows_the_copies_of_its_products(family: str) -> None:
    host = family_host(family)
    assert isinstance(host, HuggingFaceHost)
    Batcher(host, num_pages=8)
    products = [name for name in host.prepared if name.startswith("prepared.products.")]
    layers = [name for name in host.prepared if name.startswith("prepared.layers.")]
    assert (len(products) > 1) != bool(layers)
