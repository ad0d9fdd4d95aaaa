"""Language 2 of domain schemas: every error names its key and the fix, and the tables and the page say what the file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import SchemaError
from builderbrain.plan.domain import Domain, Fact, Resource
from builderbrain.plan.generate_reference import reference_page
from builderbrain.plan.runtime_domain import runtime_domain
from builderbrain.plan.schema import load_schema, parse_schema
from tests.plan.conftest import ROOT, generated_domain

BAKERY = Path(__file__).with_name("bakery.v1.yaml")
TEXT = BAKERY.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def bakery() -> Domain:
    return generated_domain(load_schema(BAKERY))


@pytest.mark.parametrize(
    ("old", "new", "key", "fix"),
    [
        ("language: 2", "language: 1", "mode", "write language: 2, or drop it"),
        ("mode: flexible", "mode: loose", "mode", "'strict' or 'flexible'"),
        ("oven: {one_of: [cold, hot]}", "oven: {one_of: [cold]}", "facts.oven.one_of", "at least 2"),
        ("oven: {one_of: [cold, hot]}", "oven: {one_of: [on, off]}", "facts.oven.one_of", "choose another word"),
        ("oven: {one_of: [cold, hot]}", "oven: {one_of: [cold, hot, hot]}", "facts.oven", "keep one"),
        ("initial: absent", "initial: gone", "facts.dough", "must be one of absent, mixed, baked"),
        ("door: {order: fixed}", "door: {order: fixed, capacity: 2}", "resources.door", "drop it"),
        ("door: {order: fixed}", "door: {order: fixed}\n  roof: {order: any}", "resources.roof", "drop it, or use it"),
        ("oven: {one_of", "salt: {one_of: [much, little]}\n  oven: {one_of", "facts.salt", "drop it, or use it"),
        ("flour: {limit: 8}", "flour: {limit: 8}\n  salt: {limit: 1}", "budgets.salt", "drop it, or say what takes it"),
        ("flour: {limit: 8}", "flour: {limit: -8}", "budgets.flour.limit", "greater than or equal to 0"),
        ("{dough: [absent]}", "{doug: [absent]}", "skills.mix.requires.doug", "did you mean dough?"),
        ("{dough: [absent]}", "{dough: [gone]}", "skills.mix.requires.dough", "use absent, mixed or baked"),
        ("{dough: [absent]}", "{dough: [absent, absent]}", "skills.mix.requires.dough", "keep one"),
        ("{dough: [absent]}", "{dough: []}", "skills.mix.requires.dough", "at least 1"),
        ("sets: {oven: hot}", "sets: {}", "skills.bake.requires.oven", "let a skill set it, or give it as initial"),
        ("sets: {oven: hot}", "sets: {oven: warm}", "skills.heat.sets.oven", "use cold or hot"),
        ("sets: {oven: hot}", "sets: {stove: hot}", "skills.heat.sets.stove", "declare it under facts"),
        ("uses: [door, bowl]", "uses: [door, bowl, table]", "skills.bake.uses", "declare it under resources"),
        ("uses: [door, bowl]", "uses: [door, bowl, door]", "skills.bake.uses", "keep one"),
        ("costs: {minutes: 40}", "costs: {hours: 40}", "skills.bake.costs.hours", "declare it under budgets"),
        ("costs: {minutes: 40}", "costs: {minutes: 91}", "skills.bake.costs.minutes", "raise budgets.minutes.limit"),
        ("costs: {minutes: 40}", "costs: {minutes: -1}", "skills.bake.costs.minutes", "whole number of at least 0"),
        ("costs: {minutes: 40}", "costs: {minutes: 1.5}", "skills.bake.costs.minutes", "whole number of at least 0"),
        ("flour: amount", "flour: weight", "skills.mix.costs.flour", "give a whole number"),
        ("flour: amount", "flour: kind", "skills.mix.costs.flour", "an integer with a minimum"),
        ("required: true, minimum: 1, maximum: 6", "required: true, minimum: 1", "skills.mix.costs.flour", "declare them"),
        ("required: true, minimum: 1, maximum: 6", "minimum: 1, maximum: 6", "skills.mix.costs.flour", "give it a default"),
        ("retry: {attempts: 2}", "retry: {attempts: 1}", "skills.heat.retry.attempts", "greater than or equal to 2"),
        ("wait_seconds: 0.5", "wait_seconds: 0", "skills.look.retry.wait_seconds", "greater than 0"),
        ("undo: scrape", "undo: scrape\n    retry: {attempts: 2}", "skills.mix.retry", "say idempotent: true, or drop it"),
        ("retry: {attempts: 3", "idempotent: true\n    retry: {attempts: 3", "skills.look.idempotent", "drop it"),
        ("retry: {attempts: 3", "irreversible: true\n    retry: {attempts: 3", "skills.look.irreversible", "drop it"),
        ("retry: {attempts: 3", "undo: cool\n    retry: {attempts: 3", "skills.look.undo", "drop it"),
        ("    undo: scrape\n", "", "skills.mix", "write undo: <skill>, irreversible: true"),
        ("undo: scrape", "undo: none", "skills.mix.undo", "name the skill that takes it back, or add that"),
        ("undo: scrape", "undo: unmix", "skills.mix.undo", "declare it under skills"),
        ("undo: scrape", "undo: bake", "skills.mix.undo", "name a skill that is not"),
        ("undo: scrape", "undo: ring", "skills.mix.undo", "taken back by a mutating skill"),
        ("irreversible: true\n", "irreversible: true\n    undo: cool\n", "skills.bake.undo", "keep one of them"),
        ("undo: cool", "undo: scrape", "skills.heat.undo", "add a result amount of type integer"),
        ("minimum: 0, maximum: 6", "minimum: 2, maximum: 6", "skills.mix.undo", "give both the same bounds"),
        ("results: {weight: number}", "results: {amount: number}", "skills.mix.undo", "make it integer"),
        (
            "    sets: {dough: absent}",
            "    requires: {dough: [baked]}\n    sets: {dough: absent}",
            "skills.mix.undo",
            "set or require",
        ),
        ("undo: scrape", "undo: scrape\n    cache_seconds: 60", "skills.mix.cache_seconds", "each call counts; drop it"),
        ("retry: {attempts: 3", "cache_seconds: 0\n    retry: {attempts: 3", "skills.look.cache_seconds", "greater than 0"),
        (
            "    uses: [socket]",
            "    sets: {oven: cold}\n    cache_seconds: 5\n    uses: [socket]",
            "skills.look.cache_seconds",
            "look sets oven",
        ),
        ("fallback: ring", "fallback: rung", "skills.cool.fallback", "did you mean ring?"),
        ("fallback: ring", "fallback: scrape", "skills.cool.fallback", "give them defaults"),
        ("fallback: ring", "fallback: heat", "skills.cool.fallback", "end it with a skill without fallback"),
        ("fallback: ring", "fallback: cool", "skills.cool.fallback", "cool to cool"),
        ("fallback: ring", "fallback: bake", "skills.cool.fallback", "drop its requires"),
        ("fallback: ring", "fallback: bake", "skills.cool.fallback", "neither irreversible nor ask a person"),
        (
            "timeout_seconds: 1\n\n  bake",
            "timeout_seconds: 1\n    fallback: cool\n\n  bake",
            "skills.ring.fallback",
            "of that level",
        ),
    ],
)
def test_an_error_of_language_2_names_its_key_and_the_fix(old: str, new: str, key: str, fix: str) -> None:
    assert old in TEXT
    with pytest.raises(SchemaError) as refused:
        parse_schema(TEXT.replace(old, new, 1))
    lines = [line for line in refused.value.message.split("; skills.") if key.removeprefix("skills.") in line]
    assert any(fix in line for line in lines), refused.value.message


def test_the_first_error_is_the_field_and_all_are_told() -> None:
    with pytest.raises(SchemaError) as refused:
        parse_schema(TEXT.replace("sets: {oven: hot}", "sets: {stove: hot}").replace("fallback: ring", "fallback: rung"))
    assert refused.value.field == "skills.heat.sets.stove"
    assert "skills.bake.requires.oven" in refused.value.message
    assert "skills.cool.fallback" in refused.value.message


@pytest.mark.parametrize(
    "key", ["requires", "sets", "uses", "costs", "retry", "idempotent", "undo", "irreversible", "confirm", "cache_seconds"]
)
def test_language_1_has_none_of_the_keys(key: str) -> None:
    values: dict[str, Any] = {
        "requires": "{}",
        "sets": "{}",
        "uses": "[]",
        "costs": "{}",
        "retry": "{attempts: 2}",
        "undo": "none",
        "cache_seconds": "60",
    }
    text = (ROOT / "schemas" / "scan.v1.yaml").read_text(encoding="utf-8")
    assert parse_schema(text).language == 1
    with pytest.raises(SchemaError, match=f"skills.do.{key}: is a key of language 2"):
        parse_schema(
            text.replace("    safety: read_only\n", f"    safety: read_only\n    {key}: {values.get(key, 'true')}\n", 1)
        )


def test_how_long_results_are_kept_is_in_the_tables_and_on_the_page() -> None:
    schema = parse_schema(TEXT.replace("    uses: [socket]", "    uses: [socket]\n    cache_seconds: 60", 1))
    generated, made = generated_domain(schema), runtime_domain(schema, "0" * 64)
    assert generated.skills["look"].cache_seconds == made.skills["look"].cache_seconds == 60.0
    assert {skill.cache_seconds for name, skill in generated.skills.items() if name != "look"} == {None}
    assert "- A result may stand for an equal call for 60 s." in reference_page(schema)


def test_a_skill_is_not_called_as_the_word_for_nothing_to_undo() -> None:
    with pytest.raises(SchemaError, match="choose another name"):
        parse_schema(TEXT.replace("  ring:", "  none:").replace("fallback: ring", "fallback: none"))


def test_the_tables_say_what_the_file_says(bakery: Domain) -> None:
    assert bakery.mode == "flexible"
    assert bakery.facts == {
        "dough": Fact(values=("absent", "mixed", "baked"), initial="absent"),
        "oven": Fact(values=("cold", "hot")),
    }
    assert bakery.resources["bowl"] == Resource(fixed_order=True)
    assert bakery.resources["socket"] == Resource(fixed_order=False, capacity=2)
    assert bakery.budgets == {"flour": 8, "minutes": 90}
    mix, bake, heat, look = (bakery.skills[name] for name in ("mix", "bake", "heat", "look"))
    assert (mix.requires, mix.sets, mix.uses, mix.undo) == ({"dough": {"absent"}}, {"dough": "mixed"}, ("bowl",), "scrape")
    assert mix.costs == {"flour": "amount", "minutes": 10}
    assert mix.arguments["amount"].maximum == 6
    assert (bake.irreversible, bake.critical, bake.confirm, bake.fallback, bake.undo) == (True, True, True, "cool", None)
    assert (heat.idempotent, heat.retry_attempts, heat.retry_wait_seconds) == (True, 2, 1.0)
    assert (look.idempotent, look.retry_attempts, look.retry_wait_seconds) == (True, 3, 0.5)
    assert (mix.idempotent, mix.retry_attempts, mix.critical, mix.confirm, mix.fallback) == (False, 1, False, False, None)
    assert bakery.skills["cool"].undo is None
    assert bakery.skills["tell"].arguments["about"].reference_only


def test_what_follows_from_the_tables(bakery: Domain) -> None:
    assert bakery.has_effects
    assert bakery.initial_facts == {"dough": "absent", "oven": None}
    assert bakery.touched["bake"] == {"dough", "oven"}  # its fallback cools the oven
    assert bakery.ordered["heat"] == ("door",)  # its fallback opens the door
    assert bakery.ordered["bake"] == ("bowl", "door")
    assert bakery.confirmed == {"bake"}
    scan = generated_domain(load_schema(ROOT / "schemas" / "scan.v1.yaml"))
    assert (scan.mode, scan.has_effects, scan.facts, scan.resources, scan.budgets) == ("strict", False, {}, {}, {})


def test_the_page_names_facts_resources_budgets_and_what_binds_a_skill() -> None:
    page = reference_page(load_schema(BAKERY))
    for words in (
        "Mode `flexible`",
        "| `oven` | `cold`, `hot` | unknown |",
        "| `dough` | `absent`, `mixed`, `baked` | `absent` |",
        "| `bowl` | one at a time, in the order that the plan gives |",
        "| `socket` | 2 at a time, in any order |",
        "| `flour` | 8 |",
        "Requires `dough` to be `mixed` or `baked`.",
        "Sets `oven` to `hot`.",
        "Costs its argument `amount` of `flour`.",
        "Costs 40 of `minutes`.",
        "3 attempts, the first wait 0.5 s",
        "Irreversible",
        "Taken back by `scrape`",
        "nothing to take back",
        "Critical",
        "A person confirms it",
        "When it fails for good: `cool`.",
        "Safety `mutating`, idempotent",
    ):
        assert words in page
