"""Repair: a refused plan is accepted afterwards, or honestly refused, and never asks for more than it did."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builderbrain.plan import Plan, Reference, check, get_domain, plan_from_json
from builderbrain.plan._generated import DOMAINS
from builderbrain.plan.assets import schema_paths
from builderbrain.plan.domain import SAFETY_LEVELS, Domain
from builderbrain.plan.repair import MAX_ROUNDS, MAX_TRIED, ArgumentRequest, KnownValue, Repair, repair
from builderbrain.plan.schema import load_schema
from tests.plan.agreement import Source, golden_plans, mutate, sources
from tests.plan.conftest import ROOT, generated_domain
from tests.plan.naive_checker import edges_of
from tests.plan.naive_runs import effect_faults

LEVELS = frozenset(SAFETY_LEVELS)
GARDEN = Path(__file__).with_name("garden.v1.yaml")


@pytest.fixture(autouse=True)
def domains(monkeypatch: pytest.MonkeyPatch) -> None:
    """The domains of tests, where the checker finds them."""
    for name in ("garden", "bakery"):
        schema = load_schema(GARDEN.with_name(f"{name}.v1.yaml"))
        monkeypatch.setitem(DOMAINS, (name, 1), generated_domain(schema))


def step(name: str, skill: str, needs: tuple[str, ...] = (), condition: str | None = None, **args: Any) -> dict[str, Any]:
    written: dict[str, Any] = {"id": name, "skill": skill, "args": args}
    if needs:
        written["needs"] = list(needs)
    if condition is not None:
        written["if"] = condition
    return written


def mended(*steps: dict[str, Any], domain: str = "garden", **options: Any) -> Repair:
    return repair({"domain": domain, "version": 1, "steps": list(steps)}, **{"granted": LEVELS, **options})


LOOK = step("s1", "look", path="a")


def test_a_sound_plan_stays_as_it_is() -> None:
    found = mended(LOOK)
    assert found.accepted
    assert (found.tried, found.ended) == ((), "nothing was at fault")


def test_a_null_argument_takes_its_default() -> None:
    found = mended(step("s1", "look", path="a", depth=None))
    assert found.checked is not None
    assert dict(found.checked.plan.steps[0].args) == {"path": "a"}
    assert "takes its default, 1" in found.changes[0].said
    assert "ill_typed_argument" in found.changes[0].why


def test_a_missing_argument_takes_what_the_last_search_found_first() -> None:
    plan = [step("s1", "search", pattern="a"), step("s2", "search", pattern="b"), step("s3", "read")]
    found = mended(*plan, domain="repo_assistant")
    assert found.checked is not None
    assert found.checked.plan.steps[2].args["path"] == Reference("s2", "first_path")
    assert [(one.stage, one.kept, one.faults) for one in found.tried] == [("arguments", True, 0)]


def test_a_missing_argument_takes_what_is_known_from_before() -> None:
    known = [
        KnownValue(name="first_path", type="path", value="old.md", source="the first search"),
        KnownValue(name="first_path", type="path", value="new.md", source="the last search"),
    ]
    found = mended(step("s1", "read"), domain="repo_assistant", known=known)
    assert found.checked is not None
    assert found.checked.plan.steps[0].args["path"] == "new.md"
    assert "the last search" in found.changes[0].said


def test_a_model_writes_what_nothing_else_offers() -> None:
    asked: list[ArgumentRequest] = []

    def write(request: ArgumentRequest) -> str:
        asked.append(request)
        return '"promotion gate"'

    plan = [step("s1", "list"), step("s2", "search")]
    found = mended(*plan, domain="repo_assistant", write=write, goal="find the gate")
    assert found.checked is not None
    assert found.checked.plan.steps[1].args["pattern"] == "promotion gate"
    assert (asked[0].goal, asked[0].before, asked[0].argument, asked[0].number) == ("find the gate", "s1=list()", "pattern", 2)


@pytest.mark.parametrize("written", ["", "no literal", '"x",path="y"', '"x") if s1.ok', "s9.text", None])
def test_what_a_model_writes_is_one_value_or_nothing(written: str | None) -> None:
    found = mended(step("s1", "search"), domain="repo_assistant", write=lambda _: written)
    assert not found.accepted
    assert found.plan is not None
    assert dict(found.plan.steps[0].args) == {}


def test_arguments_of_steps_with_effects_are_not_guessed() -> None:
    known = [KnownValue(name="path", type="path", value="a", source="before")]
    for plan in ([LOOK, step("s2", "fell")], [step("s1", "water")]):
        found = mended(*plan, known=known, write=lambda _: pytest.fail("a model was asked"))
        assert not found.accepted
        assert found.verdict.faults[0].code == "missing_argument"
    alone = mended(LOOK, step("s2", "water", ("s1",), litres=2), step("s3", "plant", ("s2",)))
    assert alone.checked is not None
    assert alone.checked.plan.steps[2].args["seed"] == Reference("s1", "seed")
    two = mended(LOOK, step("s2", "look", path="b"), step("s3", "sow"))
    assert not two.accepted


def test_steps_are_ordered_and_numbered_anew() -> None:
    plan = [step("b", "look", ("a",), "a.ok", path="${a.first_path}"), step("a", "survey", word="x")]
    found = mended(*plan)
    assert found.checked is not None
    assert [one.skill for one in found.checked.plan.steps] == ["survey", "look"]
    assert found.checked.plan.steps[1].args["path"] == Reference("s1", "first_path")
    assert found.checked.plan.steps[1].condition == "s1.ok"
    assert found.origins == (1, 0)


def test_numbering_anew_gives_no_dangling_name_a_meaning() -> None:
    plan = [step("a", "survey", word="x"), step("b", "survey", word="y"), step("c", "look", path="${s2.first_path}")]
    found = mended(*plan)
    assert not found.accepted
    assert "dangling_reference" in {fault.code for fault in found.verdict.faults}


def test_an_illegal_edge_is_removed_before_what_only_looks() -> None:
    found = mended(step("s1", "wave"), step("s2", "look", ("s1", "s9"), path="a"))
    assert found.checked is not None
    assert found.checked.plan.steps[1].needs == ()
    acting = mended(step("s1", "wave"), step("s2", "water", ("s1",), litres=1))
    assert not acting.accepted
    assert [fault.code for fault in acting.verdict.faults] == ["illegal_edge"]


def test_a_cycle_is_cut_where_nothing_acts() -> None:
    found = mended(step("s1", "look", ("s2",), path="a"), step("s2", "look", ("s1",), path="b"))
    assert found.accepted
    assert not mended(step("s1", "water", ("s2",), litres=1), step("s2", "water", ("s1",), litres=1)).accepted


def test_edges_that_effects_imply_are_added() -> None:
    found = mended(LOOK, step("s2", "water", litres=2), step("s3", "water", litres=1), step("s4", "plant", seed="${s1.seed}"))
    assert found.checked is not None
    assert found.checked.plan.steps[2].needs == ("s2",)
    assert set(found.checked.plan.steps[3].needs) == {"s1", "s2", "s3"} or found.checked.plan.steps[3].needs == ("s1", "s3")


def test_too_wide_a_plan_is_narrowed() -> None:
    found = mended(*(step(f"s{number}", "look", path="a") for number in range(1, 6)))
    assert found.checked is not None
    assert found.changes[0].why.startswith("too_wide")


def test_a_skill_is_replaced_by_its_equivalent() -> None:
    found = mended(LOOK, step("s2", "plant", seed="${s1.seed}"))
    assert found.checked is not None
    assert [one.skill for one in found.checked.plan.steps] == ["look", "sow"]
    assert found.changes[0].stage == "equivalent"


def test_an_optional_branch_that_only_looks_is_dropped() -> None:
    late = step("s2", "look", (), "s1.count > 1", path="../out")
    found = mended(LOOK, late, step("s3", "look", path="${s2.first_path}"), step("s4", "look", path="c"))
    assert found.checked is not None
    assert found.origins == (0, 3)
    assert "s2 (look), s3 (look)" in found.changes[0].said
    acting = mended(LOOK, step("s2", "water", (), "not s1.ok", litres=99))
    assert not acting.accepted
    assert not acting.changes


def test_a_refusal_says_what_was_tried() -> None:
    found = mended(LOOK, step("s2", "look", ("s9",), path="../x"))
    assert not found.accepted
    assert found.ended == "no further change helps"
    assert [one.kept for one in found.tried] == [True]
    assert [fault.code for fault in found.before] == ["path_escape", "dangling_need"]
    assert found.to_json()["verdict"]["faults"][0]["code"] == "path_escape"


def test_what_cannot_be_read_is_not_repaired() -> None:
    for source in (
        None,
        [],
        {},
        {"domain": "garden", "version": 1, "steps": []},
        {"domain": "x", "version": 1, "steps": [LOOK]},
    ):
        found = repair(source)
        assert not found.accepted
        assert found.tried == ()


def test_safety_is_never_widened() -> None:
    found = mended(step("s1", "water", litres=1), granted=frozenset({"read_only"}))
    assert not found.accepted
    assert {fault.code for fault in found.verdict.faults} == {"safety_not_granted"}


def all_sources() -> Iterator[tuple[str, Source]]:
    """Plans of every shipped domain and of those of tests."""
    found = sources()
    for path in schema_paths():
        schema = load_schema(path)
        if schema.domain not in found:
            plans = golden_plans(ROOT / "schemas" / "golden" / f"{schema.domain}.v{schema.version}")
            found[schema.domain] = Source(schema, get_domain(schema.domain), lambda draw, p=plans: draw.choice(p), (1, 1, 2, 3))
    yield from found.items()


def whole(plan: Any) -> bool:
    """Whether a plan still has the shape that `spoiled` changes."""
    steps = plan.get("steps") if isinstance(plan, dict) else None
    kinds = {"id": str, "skill": str, "args": dict}
    return (
        isinstance(steps, list)
        and bool(steps)
        and all(isinstance(one, dict) and all(isinstance(one.get(key), kind) for key, kind in kinds.items()) for one in steps)
        and all(isinstance(one.get("needs", []), list) for one in steps)
    )


def spoiled(plan: Any, draw: random.Random) -> Any:
    """A fault of a kind that repair knows: what was there is missing, in another order, or tied wrongly."""
    steps = plan["steps"]
    one = draw.choice(steps)
    kind = draw.choice(("argument", "null", "needs", "shuffle", "tie", "skill", "mutate"))
    if kind in ("argument", "null") and one["args"]:
        name = draw.choice(sorted(one["args"]))
        if kind == "null":
            one["args"][name] = None
        else:
            del one["args"][name]
    elif kind == "needs":
        one.pop("needs", None)
    elif kind == "shuffle":
        draw.shuffle(steps)
    elif kind == "tie":
        one["needs"] = [*one.get("needs", []), draw.choice(["s1", "s2", "s9", one["id"]])]
    elif kind == "skill":
        one["skill"] = draw.choice(steps)["skill"]
    else:
        return mutate(plan, draw)
    return plan


@pytest.mark.parametrize("name", [name for name, _ in all_sources()])
def test_a_spoiled_plan_is_accepted_by_the_checker_or_honestly_refused(name: str) -> None:
    source = dict(all_sources())[name]
    draw = random.Random(11)
    repaired = refused = 0
    for _ in range(250):
        plan = source.plan(draw)
        for _ in range(draw.choice((1, 1, 2))):
            if whole(plan):
                plan = spoiled(plan, draw)
        before = check(plan, granted=LEVELS)
        found = repair(plan, granted=LEVELS)
        assert found.before == before.faults
        assert len(found.changes) <= MAX_ROUNDS
        assert len(found.tried) <= MAX_TRIED
        assert found.accepted == found.verdict.accepted
        if before.accepted:
            assert (found.accepted, found.tried) == (True, ())
            continue
        repaired += found.accepted
        refused += not found.accepted
        if not found.accepted:
            assert found.verdict.faults
            assert found.ended
            continue
        assert found.plan is not None
        assert check(found.plan, granted=LEVELS).accepted
        assert found.changes
        asks_for_no_more(plan_from_json(plan), found, source.domain)
        as_json = found.to_json()["plan"]
        edges = edges_of(source.schema, as_json)
        assert edges is not None
        assert effect_faults(source.schema, as_json, edges) == set()
    assert repaired >= 10, (name, repaired, refused)
    assert refused >= 15, (name, repaired, refused)


def asks_for_no_more(original: Plan, found: Repair, domain: Domain) -> None:
    """Independently of what repair itself asks: steps with effects, and all that they wait for, are there as they were."""
    assert found.plan is not None
    back = {step.id: original.steps[origin].id for step, origin in zip(found.plan.steps, found.origins, strict=True)}
    assert len(set(found.origins)) == len(found.origins)
    acting = [at for at, step in enumerate(original.steps) if domain.skills[step.skill].safety != "read_only"]
    assert set(acting) <= set(found.origins)
    for step, origin in zip(found.plan.steps, found.origins, strict=True):
        asked = original.steps[origin]
        assert step.skill == asked.skill or step.skill in domain.skills[asked.skill].equivalent
        assert step.condition is None or asked.condition is not None
        for name, value in asked.args.items():
            kept = step.args.get(name)
            if isinstance(kept, Reference):
                kept = Reference(back[kept.step], kept.result)
            assert value is None or kept == value
        if origin in acting:
            assert {back[name] for name in step.needs} >= set(asked.needs)
            assert set(step.args) - {name for name, value in asked.args.items() if value is not None} <= {
                name for name, declared in domain.skills[step.skill].arguments.items() if declared.reference_only
            }
