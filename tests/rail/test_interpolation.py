"""Between two rails: how far a trained one is pulled back towards its start."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from builderbrain.errors import ConfigError
from builderbrain.rail.interpolation import pull_back
from builderbrain.rail.rail import BuilderRail
from tests.rail.conftest import family_host, make_rail


@pytest.fixture
def rails() -> tuple[BuilderRail, BuilderRail]:
    """One and the same with every weight 1 further."""
    start, end = make_rail(family_host("llama")), make_rail(family_host("llama"))
    with torch.no_grad():
        for tensor in end.state_dict().values():
            tensor += 1 if tensor.is_floating_point() else 0
    return start, end


@pytest.mark.parametrize("keep", [0.25, 1.0])
def test_the_kept_share_of_every_weights_change_is_left(rails: tuple[BuilderRail, BuilderRail], keep: float) -> None:
    start, end = rails
    before = {name: tensor.clone() for name, tensor in start.state_dict().items()}
    pull_back(end, start, keep)
    for name, tensor in end.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, before[name] + keep)
        assert torch.equal(start.state_dict()[name], before[name]), "the start is not touched"


@pytest.mark.parametrize("keep", [0.0, -1.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(rails: tuple[BuilderRail, BuilderRail], keep: float) -> None:
    with pytest.raises(ConfigError, match="keep"):
        pull_back(rails[1], rails[0], keep)


def test_rails_of_two_shapes_have_no_way_between_them(rails: tuple[BuilderRail, BuilderRail]) -> None:
    wider = BuilderRail(replace(rails[0].config, num_skills=7))
    with pytest.raises(ConfigError, match="one shape"):
        pull_back(wider, rails[0], 0.5)
