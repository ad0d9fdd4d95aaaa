"""Skeletons of plans, where a plan leaves one, and the edit distance against a search over all matchings."""

from __future__ import annotations

import random
from itertools import combinations, permutations

import networkx
import pytest

from builderbrain.errors import PlanSyntaxError
from builderbrain.plan import Plan, Step, parse_text
from builderbrain.plan.edit_distance import edit_distance, label_bound
from builderbrain.plan.skeleton import Disagreement, Edge, Skeleton, disagreements, skeleton_of, with_links

PLAN = (
    's1=search(pattern="a")\ns2=search(pattern="b")\ns3=read(path=s1.first_path)\n'
    's4=talk(text="x",about=s3.text) if s2.ok\ns5=talk(text="y") after s4'
)


def random_skeleton(rng: random.Random, most: int, skills: str = "abc") -> Skeleton:
    size = rng.randint(1, most)
    kinds: tuple[Edge, ...] = ("seq", "cond")
    links = {pair: rng.choice(kinds) for pair in combinations(range(size), 2) if rng.random() < 0.4}
    return with_links(tuple(rng.choice(skills) for _ in range(size)), links)


def over_all_matchings(one: Skeleton, other: Skeleton) -> int:
    """The distance by its definition: nodes of the one go to nodes of the other or, past their number, to none."""
    size, targets = len(one.skills), len(other.skills)
    mine, theirs = one.links, other.links
    best = 10**9
    for images in permutations(range(targets + size), size):
        cost = sum(1 if image >= targets else one.skills[i] != other.skills[image] for i, image in enumerate(images))
        cost += targets - sum(image < targets for image in images)
        mapped = {(images[i], images[j]): kind for (i, j), kind in mine.items()}
        cost += sum(mapped.get(pair) != theirs.get(pair) for pair in mapped.keys() | theirs.keys())
        best = min(best, cost)
    return best


def test_edges_are_read_off_needs_conditions_and_order() -> None:
    skeleton = skeleton_of(parse_text(PLAN))
    assert skeleton.skills == ("search", "search", "read", "talk", "talk")
    assert skeleton.edges == {
        (0, 1): "parallel", (0, 2): "seq", (0, 3): "none", (0, 4): "none", (1, 2): "parallel", (1, 3): "cond", (1, 4): "none",
        (2, 3): "seq", (2, 4): "none", (3, 4): "seq",
    }  # fmt: skip
    late = Plan("repo_assistant", 1, (Step("s1", "read", {}, ("s2",)), Step("s2", "search")))
    with pytest.raises(PlanSyntaxError, match="need steps before it"):
        skeleton_of(late)


def test_a_plan_agrees_with_its_own_skeleton_and_every_departure_is_named() -> None:
    plan = parse_text(PLAN)
    skeleton = skeleton_of(plan)
    assert disagreements(plan, skeleton) == ()
    links = {**skeleton.links, (1, 3): "seq"}
    del links[0, 2]
    other = with_links(("search", "list", "read", "talk"), links)  # type: ignore[arg-type]
    found = disagreements(plan, other)
    assert Disagreement(where="s2", planned="search", foreseen="list") in found
    assert Disagreement(where="s5", planned="talk", foreseen=None) in found
    assert Disagreement(where="s2-s4", planned="cond", foreseen="seq") in found
    assert Disagreement(where="s1-s3", planned="seq", foreseen="parallel") in found
    assert not any(one.where == "s3" for one in found)


def test_the_distance_is_that_of_the_best_of_all_matchings() -> None:
    rng = random.Random(0)
    for _ in range(60):
        one, other = random_skeleton(rng, 3), random_skeleton(rng, 4)
        wanted = over_all_matchings(one, other)
        found = edit_distance(one, other)
        assert found.exact
        assert found.upper == wanted
        assert edit_distance(other, one).upper == wanted
        assert label_bound(one, other) <= wanted


def test_the_bounds_hold_however_early_the_search_stops() -> None:
    rng = random.Random(1)
    stopped = 0
    for _ in range(150):
        one, other = random_skeleton(rng, 5), random_skeleton(rng, 5)
        exact = edit_distance(one, other)
        assert exact.exact
        early = edit_distance(one, other, budget=3)
        assert early.lower <= exact.upper <= early.upper
        stopped += not early.exact
    assert stopped > 30, "the search was never cut short"


def test_the_distance_is_that_of_networkx() -> None:
    def graph(skeleton: Skeleton) -> networkx.DiGraph:
        made = networkx.DiGraph()
        for place, skill in enumerate(skeleton.skills):
            made.add_node(place, label=skill)
        for (i, j), kind in skeleton.links.items():
            made.add_edge(i, j, label=kind)
        return made

    rng = random.Random(2)
    for _ in range(25):
        one, other = random_skeleton(rng, 4), random_skeleton(rng, 4)
        same = lambda a, b: a["label"] == b["label"]  # noqa: E731 - both matches compare labels
        wanted = networkx.graph_edit_distance(graph(one), graph(other), node_match=same, edge_match=same)
        assert edit_distance(one, other).upper == wanted


def test_plans_of_sixteen_steps_are_answered_at_once_with_bounds_or_exactly() -> None:
    rng = random.Random(3)
    chain = with_links(tuple("abcd" * 4), {(i, i + 1): "seq" for i in range(15)})
    assert edit_distance(chain, chain) == edit_distance(chain, chain)
    assert edit_distance(chain, chain).upper == 0
    far = with_links(tuple(rng.choice("abcdef") for _ in range(16)), {(i, i + 2): "cond" for i in range(14)})
    bounds = edit_distance(chain, far, budget=2000)
    assert 0 < bounds.lower <= bounds.upper <= 16 + 15 + 14
    empty = Skeleton(skills=(), edges={})
    assert edit_distance(chain, empty).upper == edit_distance(empty, chain).upper == 16 + 15


def test_order_of_independent_steps_does_not_count() -> None:
    one = skeleton_of(parse_text('s1=search(pattern="a")\ns2=list()'))
    other = skeleton_of(parse_text('s1=list()\ns2=search(pattern="a")'))
    assert edit_distance(one, other).upper == 0
