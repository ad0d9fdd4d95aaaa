"""New skills over the trunk of a trained rail: the trunk is taken over whole, and nothing else of the rail stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.hosts.base import Host
from builderbrain.hosts.load import NANO
from builderbrain.rail.bundled import bundled_rail_of
from builderbrain.rail.checkpoint import load_rail, rail_version, save_rail
from builderbrain.rail.pair import Pair
from builderbrain.rail.trunk import freeze_trunk, is_of_skills, with_new_skills
from tests.hosts.tiny_models import random_tokens
from tests.rail.conftest import make_rail


@torch.no_grad()
def fused(host: Host, rail: object) -> torch.Tensor:
    return Pair(host, rail).forward(random_tokens(2, 11)).fused  # type: ignore[arg-type]


def test_new_skills_change_nothing_until_they_are_trained(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    made = with_new_skills(rail, replace(rail.config, num_skills=2, skill_rank=4, proposal_rank=1), seed=0).eval()
    with torch.no_grad():
        for name, parameter in rail.named_parameters():
            if name.endswith(("skills.up", "proposal_skills.up")):
                parameter.zero_()
    torch.testing.assert_close(fused(llama, made), fused(llama, rail), rtol=0, atol=0)
    assert float(made.gates.budget) == float(rail.gates.budget)


def test_trained_skills_that_are_all_ablated_give_the_base_back(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    base = llama.forward(random_tokens(2, 11)).taps[-1]
    assert not torch.allclose(fused(llama, rail), base)
    rail.ablated_skills = frozenset(range(rail.config.num_skills))
    assert torch.equal(fused(llama, rail), base)


def test_a_frozen_trunk_gets_no_gradient_and_every_skill_does(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    freeze_trunk(rail)
    output = Pair(llama, rail).forward(random_tokens(4, 60))
    assert output.rail is not None
    policy = rail.read_policy(output.rail.features, torch.full((4,), 60))
    (output.fused.square().mean() + sum(scores.square().mean() for scores in (policy.intent, policy.actions))).backward()
    for name, parameter in rail.named_parameters():
        assert parameter.requires_grad == is_of_skills(name), name
        assert parameter.requires_grad or parameter.grad is None, name
    for name in ("router.score.weight", "proposal_skills.up", "blocks.0.skills.down", "policy.intent.weight"):
        gradient = dict(rail.named_parameters())[name].grad
        assert gradient is not None, name
        assert bool(gradient.any()), name


def test_another_trunk_is_refused(llama: Host) -> None:
    rail = make_rail(llama)
    with pytest.raises(ValueError, match="another trunk"):
        with_new_skills(rail, replace(rail.config, width=32), seed=0)


def test_labels_of_the_same_name_are_known_in_any_order_and_beside_new_ones(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    slots = (("clause", ("read", "list")), ("name", ("path",)), ("step", ("1", "2")))
    rail = with_new_skills(rail, replace(rail.config, token_slots=slots), seed=0).eval()
    turned = (("step", ("2", "1")), ("clause", ("list", "read")), ("name", ("path",)))
    made = with_new_skills(rail, replace(rail.config, token_slots=turned), seed=1)
    for name, tensor in rail.state_dict().items():
        if not name.startswith("labels."):
            made.state_dict()[name].copy_(tensor)
    torch.testing.assert_close(fused(llama, made.eval()), fused(llama, rail))
    more = (("clause", ("copy", "list")), ("name", ("path", "text")), ("step", ("1", "2", "3")))
    made = with_new_skills(rail, replace(rail.config, token_slots=more), seed=1)
    assert made.labels is not None
    assert rail.labels is not None
    assert torch.equal(made.labels.score.weight[2], rail.labels.score.weight[2])  # list
    assert not torch.equal(made.labels.score.weight[1], rail.labels.score.weight[1])  # copy, where read was
    assert torch.equal(made.labels.away[:, 7], rail.labels.away[:, 6])  # step 1


def test_a_rail_from_before_pinned_skills_keeps_its_configuration_and_its_version() -> None:
    folder = bundled_rail_of(NANO)
    assert folder is not None
    rail = load_rail(folder)
    assert json.loads(json.dumps(rail.config.to_json())) == json.loads((folder / "config.json").read_text())
    assert rail_version(rail) == "22b402537fbd", "the version that README names; change both when another rail is bundled"


def test_pinned_skills_and_proposals_are_saved_with_a_rail(llama: Host, tmp_path: Path) -> None:
    plain = make_rail(llama, jitter=0.3)
    rail = with_new_skills(plain, replace(plain.config, pinned_skills=("next", "search")), seed=0)
    save_rail(rail, tmp_path / "rail")
    loaded = load_rail(tmp_path / "rail")
    assert loaded.config == rail.config
    assert (loaded.config.pinned_skills, loaded.config.proposal_rank) == (("next", "search"), plain.config.proposal_rank)
