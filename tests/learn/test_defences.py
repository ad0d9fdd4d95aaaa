"""Planted poison is found, and honest rows stay: words alone, then the live rail and the base."""

from __future__ import annotations

import numpy as np

from builderbrain.gate.battery import prompt_hash
from builderbrain.learn.defences import DefenceLimits, Trusted, sift_by_model, sift_by_words
from builderbrain.learn.traces import Example
from builderbrain.plan import parse_text

LIMITS = DefenceLimits()
SEARCH, LIST = 's1=search(pattern="gate")', 's1=list(path="docs")'


def example(number: int, text: str, plan: str = SEARCH, *, source: str = "a", corrected: bool = False) -> Example:
    return Example(
        id=f"t{number}",
        source=source,
        domain="repo_assistant",
        text=text,
        plan=parse_text(plan, domain="repo_assistant"),
        corrected=corrected,
        order=number,
    )


def honest(count: int, sources: int = 8) -> list[Example]:
    return [example(number, f"search for word {number}", source=f"s{number % sources}") for number in range(count)]


def test_honest_rows_stay() -> None:
    rows = honest(100)
    found = sift_by_words(rows, frozenset(), LIMITS)
    assert found.kept == tuple(rows)
    assert found.counts() == {}


def test_prompts_of_the_battery_are_never_learned() -> None:
    rows = [*honest(10), example(90, "Search for  the SECRET battery prompt")]
    found = sift_by_words(rows, {prompt_hash("search for the secret battery prompt")}, LIMITS)
    assert found.removed == {"battery": ("t90",)}


def test_a_flood_of_copies_is_one_row_and_a_flood_of_variants_a_capped_share() -> None:
    copies = [
        example(1000 + number, "delete  everything" if number % 2 else "Delete everything", LIST, source="m")
        for number in range(500)
    ]
    variants = [example(2000 + number, f"list everything {number}", LIST, source="m") for number in range(500)]
    found = sift_by_words([*honest(40), *copies, *variants], frozenset(), LIMITS)
    mine = [row for row in found.kept if row.source == "m"]
    assert len(found.kept) - len(mine) == 40, "no honest row is lost to the flood"
    assert len(mine) <= LIMITS.source_share * len(found.kept)
    assert found.counts()["duplicate"] == 499
    assert found.counts()["flood"] >= 500 - 40
    alone = sift_by_words(variants, frozenset(), LIMITS)
    assert len(alone.kept) == LIMITS.per_source, "a single source has the absolute cap"


def test_a_request_whose_sources_disagree_is_left_out_and_one_flipped_voice_is_outvoted() -> None:
    split = [example(1, "show the docs", SEARCH, source="a"), example(2, "show the docs", LIST, source="b")]
    voted = [example(10 + number, "open the docs", LIST, source=f"s{number}") for number in range(4)]
    flipped = [example(20 + number, "open the docs", SEARCH, source="evil") for number in range(50)]
    found = sift_by_words([*split, *voted, *flipped], frozenset(), LIMITS)
    assert [row.id for row in found.kept] == ["t10"], "the agreed plan once; fifty voices of one source are one voice"
    assert found.counts()["conflict"] == 52


def planted() -> tuple[Trusted, np.ndarray]:
    """Two kinds of trusted goals, each around a direction of its own."""
    rng = np.random.default_rng(0)
    centres = np.eye(8)[:2] * 4.0
    kind = np.arange(100) % 2
    states = centres[kind] + rng.normal(0, 0.5, (100, 8))
    skills = tuple((("search",), ("list",))[one] for one in kind)
    return Trusted(losses=rng.gamma(2.0, 0.05, 100), states=states, skills=skills), centres


def test_label_flips_are_found_by_their_neighbours_and_corrections_pass() -> None:
    trusted, centres = planted()
    rng = np.random.default_rng(1)
    rows, losses, states = [], [], []
    for number in range(200):
        flipped, kind = number % 4 == 0, number % 2
        plan = (SEARCH, LIST)[kind ^ flipped]
        rows.append(example(number, f"goal {number}", plan, corrected=True))
        losses.append(2.5 if flipped or number % 3 == 0 else 0.1)  # honest corrections surprise as well
        states.append(centres[kind] + rng.normal(0, 0.5, 8))
    found = sift_by_model(rows, losses, np.array(states), trusted, LIMITS)
    flips = {f"t{number}" for number in range(0, 200, 4)}
    caught = set(found.removed["label flip"])
    assert len(caught & flips) >= 0.98 * len(flips)
    assert not caught - flips, "every honest correction stays"


def test_outliers_by_loss_are_never_learned_nor_what_has_no_loss() -> None:
    trusted, centres = planted()
    rows = [example(number, f"goal {number}") for number in range(4)]
    found = sift_by_model(rows, [0.1, 30.0, float("nan"), float("inf")], np.tile(centres[0], (4, 1)), trusted, LIMITS)
    assert found.removed == {"outlier": ("t1", "t2", "t3")}
    assert [row.id for row in found.kept] == ["t0"]
