"""The skill book: ids keep their meaning, masked rows are never taken, and a rail's folder carries all of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from builderbrain.errors import CheckpointError, SkillError
from builderbrain.hosts.base import Host
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail, rail_version, save_rail
from builderbrain.rail.config import RailConfig
from builderbrain.rail.pair import Pair
from builderbrain.rail.rail import BuilderRail
from builderbrain.rail.skill_book import SkillBook, SkillRecord
from builderbrain.rail.skills import SkillChoice, SkillRouter
from tests.hosts.tiny_models import random_tokens
from tests.rail.conftest import make_rail

CONFIG = RailConfig(base_name="x", d_model=8, vocab_size=8, tap_points=(0,), width=8, num_skills=6, pinned_skills=("next",))


def ended(book: SkillBook, skill: int, state: str, heir: int | None = None) -> SkillBook:
    row = book[skill].row if heir is not None else None
    return book.with_records([replace(book[skill], state=state, heir=heir, row=row)])  # type: ignore[arg-type]


def gumbel(*shape: int, seed: int) -> torch.Tensor:
    uniform = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).clamp(1e-6, 1 - 1e-6)
    return -torch.log(-torch.log(uniform))


def routed(router: SkillRouter, *, seed: int, noise: bool) -> SkillChoice:
    x = torch.randn(4, 200, 8, generator=torch.Generator().manual_seed(seed))
    return router(x, gumbel=gumbel(4, 200, router.score.out_features, seed=seed) if noise else None, temperature=0.5)


def test_a_new_book_has_skill_k_in_row_k_and_the_names_of_the_pinned() -> None:
    book = SkillBook.of(CONFIG, live=3)
    assert [(record.id, record.row, record.name) for record in book.live] == [
        (0, 0, "next"),
        (1, 1, "skill_1"),
        (2, 2, "skill_2"),
    ]
    assert book.free_rows == (3, 4, 5)
    assert book.leads() == (0, 1, 2, None, None, None)


def test_old_ids_resolve_through_every_heir() -> None:
    book = ended(SkillBook.of(CONFIG), 4, "merged", heir=2)
    book = ended(book, 2, "merged", heir=5)
    assert [book.resolve(skill).id for skill in range(6)] == [0, 1, 5, 3, 5, 5]
    assert book.row_of(4) == 5
    assert book.leads() == (0, 1, 5, 3, 5, 5), "the router's rows of merged skills stay open"
    gone = ended(book, 5, "retired")
    assert gone.resolve(4).state == "retired"
    assert gone.leads() == (0, 1, None, 3, None, None)
    with pytest.raises(SkillError, match="skill_5 is retired"):
        gone.row_of(4)


def test_a_free_row_is_given_out_under_an_id_of_its_own() -> None:
    book = ended(SkillBook.of(CONFIG), 4, "retired")
    assert book.free_rows == (4,)
    later = book.with_records([SkillRecord(id=6, name="skill_6", row=4, parents=(3,), born=9)])
    assert later.resolve(4).state == "retired"
    assert later.in_row(4) == later[6]
    with pytest.raises(SkillError, match=r"0\.\.6, got 7"):
        later.resolve(7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{"id": 1, "state": "merged", "heir": 2}, {"id": 2, "state": "merged", "heir": 1}], "circle"),
        ([{"id": 1, "row": 2}], "two skills own one row"),
        ([{"id": 1, "row": 6}], "row 6 does not exist"),
        ([{"id": 1, "row": None}], "it is live and its row is None"),
        ([{"id": 1, "state": "retired"}], "it is retired and its row is 1"),
        ([{"id": 1, "state": "merged"}], "its heir is None"),
        ([{"id": 1, "state": "merged", "heir": 9}], "heir 9 does not exist"),
        ([{"id": 0, "state": "retired", "row": None}], "it is pinned"),
        ([{"id": 1, "state": "asleep"}], "state is 'asleep'"),
        ([{"id": 1, "version": "1"}], "whole numbers"),
        ([{"id": 1, "heir": "2"}], "whole numbers or null"),
    ],
)
def test_a_book_that_contradicts_itself_is_refused(changes: list[dict[str, object]], message: str) -> None:
    value = SkillBook.of(CONFIG).to_json()
    for change in changes:
        value["skills"][change["id"]] |= change
    with pytest.raises(CheckpointError, match=message):
        SkillBook.from_json(value, CONFIG)


@pytest.mark.parametrize("noise", [True, False])
def test_a_closed_row_is_never_taken_and_learns_nothing(noise: bool) -> None:
    torch.manual_seed(0)
    router = SkillRouter(CONFIG)
    plain = routed(router, seed=1, noise=noise)
    assert set(plain.skill.unique().tolist()) == set(range(6))
    router.follow((0, 1, None, 3, None, 5))
    for seed in range(5):
        choice = routed(router, seed=seed, noise=noise)
        assert set(choice.skill.unique().tolist()) == {0, 1, 3, 5}
    assert not choice.probability[..., [2, 4]].any()
    torch.testing.assert_close(choice.probability.sum(-1), torch.ones(4, 200))
    (choice.scale * torch.randn(4, 200) + choice.probability[..., 0]).sum().backward()
    gradient = router.score.weight.grad
    assert gradient is not None
    assert bool(gradient.isfinite().all())
    assert not gradient[[2, 4]].any()
    assert gradient[[0, 1, 3, 5]].any(1).all()
    router.follow(range(6))
    assert torch.equal(routed(router, seed=1, noise=noise).scale, plain.scale)


@pytest.mark.parametrize("noise", [True, False])
def test_a_merged_row_sends_exactly_its_tokens_to_its_heir(noise: bool) -> None:
    torch.manual_seed(0)
    router = SkillRouter(CONFIG)
    before = routed(router, seed=3, noise=noise)
    router.follow((0, 1, 2, 3, 1, 5))
    after = routed(router, seed=3, noise=noise)
    assert torch.equal(after.skill, torch.where(before.skill == 4, 1, before.skill))
    torch.testing.assert_close(after.probability[..., 1], before.probability[..., 1] + before.probability[..., 4])
    assert not after.probability[..., 4].any()


def test_closing_a_row_that_no_token_takes_changes_no_bit(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    tokens = random_tokens(4, 40)
    with torch.no_grad():
        rail.router.score.weight[3] = rail.router.score.weight[[0, 1, 2, 4]].mean(0)  # never the highest score
        before = Pair(llama, rail).forward(tokens)
        assert before.rail is not None
        unused = sorted(set(range(5)) - set(before.rail.choice.skill.unique().tolist()))
        assert unused
        for skill in unused:
            rail.adopt(ended(rail.book, skill, "retired"))
        after = Pair(llama, rail).forward(tokens)
    assert after.rail is not None
    assert torch.equal(after.fused, before.fused)
    assert torch.equal(after.rail.features, before.rail.features)


def test_ablating_goes_by_row_and_a_book_knows_the_row(llama: Host) -> None:
    rail = make_rail(llama, jitter=0.3)
    rail.adopt(ended(rail.book, 4, "merged", heir=1))
    states = llama.forward(random_tokens(2, 30))
    with torch.no_grad():
        rail.ablated_skills = frozenset({rail.book.row_of(4)})
        out = rail(states)
    taken = out.choice.skill == 1
    assert taken.any()
    assert torch.equal(out.fused[taken], states.taps[-1][taken])


def with_history(host: Host) -> BuilderRail:
    rail = make_rail(host, jitter=0.3)
    rail.adopt(ended(ended(rail.book, 4, "merged", heir=1), 2, "retired"))
    return rail


def test_a_folder_carries_its_book_and_the_version_covers_it(llama: Host, tmp_path: Path) -> None:
    rail, plain = with_history(llama), make_rail(llama, jitter=0.3)
    save_rail(rail, tmp_path / "rail")
    save_rail(plain, tmp_path / "plain")
    assert not (tmp_path / "plain" / "skills.json").exists()
    loaded = load_rail(tmp_path / "rail")
    assert loaded.book == rail.book
    tokens = random_tokens(2, 20)
    with torch.no_grad():
        assert torch.equal(Pair(llama, loaded).forward(tokens).fused, Pair(llama, rail).forward(tokens).fused)
    assert rail_version(loaded) == rail_version(rail) != rail_version(plain)
    rail.adopt(SkillBook.of(rail.config))
    assert rail_version(rail) == rail_version(plain)


def test_the_bundled_rail_has_no_history_and_keeps_its_version() -> None:
    rail = load_rail(BUNDLED_RAIL)
    assert rail.book == SkillBook.of(rail.config)
    assert rail_version(rail) == "22b402537fbd"


def test_a_torn_or_missing_book_is_refused_by_name(llama: Host, tmp_path: Path) -> None:
    save_rail(with_history(llama), tmp_path / "rail")
    path = tmp_path / "rail" / "skills.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"skills\.json is not as its manifest says") as caught:
        load_rail(tmp_path / "rail")
    assert caught.value.field == "skills.json"
    manifest = tmp_path / "rail" / "manifest.json"
    listed = manifest.read_bytes()
    manifest.unlink()  # a book that nothing vouches for is read, and judged by what it says
    for content, message in (
        (whole[: len(whole) // 2], r"skills\.json is torn"),
        (b"\xff\xfe", r"skills\.json is torn"),
        (b"[]", r"skills\.json: skill book: malformed"),
        (json.dumps({"skills": json.loads(whole)["skills"][:1] * 2}).encode(), "ids are counted from 0"),
        (json.dumps({"skills": []}).encode(), "no skill is live"),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message) as caught:
            load_rail(tmp_path / "rail")
        assert caught.value.field == "skills.json"
        assert "use another copy" in caught.value.message
    manifest.write_bytes(listed)
    path.unlink()
    with pytest.raises(
        CheckpointError, match=r"skills\.json, which says which skills of this rail are live, but it is missing"
    ):
        load_rail(tmp_path / "rail")


def test_a_book_of_another_rail_is_refused(llama: Host) -> None:
    with pytest.raises(SkillError, match="adapters, routes and pinned skills"):
        make_rail(llama).adopt(SkillBook.of(CONFIG))
