"""The plan head: graphs that have no cycle, padding that changes nothing, and rails without one as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.errors import ConfigError
from builderbrain.hosts.base import Host
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.model import RailModel
from builderbrain.rail.plan_head import PlanHead, PlanScores, decode_plan_graph
from builderbrain.rail.rail import BuilderRail
from tests.rail.conftest import make_rail

SKILLS = ("search", "read", "talk")
CONFIG = RailConfig(
    base_name="x", d_model=8, vocab_size=8, tap_points=(0,), width=12, intents=("a",), actions=SKILLS, plan_nodes=16
)


def head() -> PlanHead:
    torch.manual_seed(0)
    return PlanHead(CONFIG).eval()


@torch.no_grad()
def test_whatever_the_scores_are_links_lead_from_earlier_nodes_to_later_ones() -> None:
    made = 0
    for seed in range(30):
        draw = torch.Generator().manual_seed(seed)
        nodes = torch.randn(1, 16, 4, generator=draw)
        nodes[..., 0] -= 2.0
        scores = PlanScores(nodes=nodes, edges=torch.randn(1, 16, 16, 4, generator=draw) * 5)
        skeleton = decode_plan_graph(scores, SKILLS)
        size = len(skeleton.skills)
        assert set(skeleton.edges) == {(i, j) for i in range(size) for j in range(i + 1, size)}
        assert all(skill in SKILLS for skill in skeleton.skills)
        made += len(skeleton.links) > 5
    assert made > 10, "hardly any graph had links"
    empty = PlanScores(nodes=torch.tensor([9.0, 0, 0, 0]).expand(1, 16, 4), edges=torch.zeros(1, 16, 16, 4))
    assert decode_plan_graph(empty, SKILLS).skills == ()


@torch.no_grad()
def test_padding_and_other_rows_change_no_score() -> None:
    reader = head()
    features = torch.randn(2, 9, 12, generator=torch.Generator().manual_seed(1))
    both = reader(features, torch.tensor([9, 5]))
    alone = reader(features[1:, :5], torch.tensor([5]))
    torch.testing.assert_close(both.nodes[1:], alone.nodes)
    torch.testing.assert_close(both.edges[1:], alone.edges)
    assert both.nodes.shape == (2, 16, 4)
    assert not both.edges[0].tril().permute(2, 0, 1).tril().any()


def test_every_parameter_of_the_head_gets_a_gradient() -> None:
    reader = head()
    scores = reader(torch.randn(2, 9, 12), torch.tensor([9, 5]))
    (scores.nodes.square().sum() + scores.edges.square().sum()).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in reader.parameters())


def test_a_rail_says_what_it_foresees_and_one_without_a_head_says_nothing(llama: Host, tmp_path: Path) -> None:
    plain = make_rail(llama)
    assert RailModel(llama, plain).read_skeleton([5, 6, 7]) is None
    torch.manual_seed(0)
    rail = BuilderRail(replace(plain.config, plan_nodes=4)).eval()
    save_rail(rail, tmp_path / "rail")
    loaded = load_rail(tmp_path / "rail")
    assert loaded.config.plan_nodes == 4
    skeleton = RailModel(llama, loaded).read_skeleton([5, 6, 7])
    assert skeleton is not None
    assert skeleton == RailModel(llama, rail).read_skeleton([5, 6, 7])
    assert len(skeleton.skills) <= 4
    others = {name for name in rail.state_dict() if not name.startswith("plan.")}
    assert others == set(plain.state_dict())


def test_rails_saved_before_there_was_a_plan_head_are_the_same_ones() -> None:
    """Neither the bundled rail's tensors nor its configuration, and so its version, say anything of a plan head."""
    bundled = load_rail(BUNDLED_RAIL)
    assert bundled.config.plan_nodes == 0
    assert bundled.plan is None
    assert "plan_nodes" not in bundled.config.to_json()
    assert RailConfig.from_json(CONFIG.to_json()) == CONFIG


@pytest.mark.parametrize(
    ("keys", "message"), [({"plan_nodes": 17}, "0..16"), ({"plan_nodes": 4, "actions": ()}, "rail.actions")]
)
def test_shapes_that_cannot_be_are_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        replace(CONFIG, **keys)  # type: ignore[arg-type]
    assert caught.value.field == "rail.plan_nodes"
