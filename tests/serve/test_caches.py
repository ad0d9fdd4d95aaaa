"""Results of tools are kept for each caller alone, and `/metrics` says of every cache what it was asked for and had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from builderbrain.decode.pages import PagePool
from builderbrain.grammar.base import Constraint
from builderbrain.grammar.jump import JumpForward
from builderbrain.grammar.matching import new_bitmask
from builderbrain.plan.condition import parse_condition
from builderbrain.serve.boundary import Keys
from builderbrain.serve.cache_metrics import watch_caches
from builderbrain.serve.telemetry import Telemetry
from tests.agent.workshop import Effects
from tests.serve.running import tiny
from tests.serve.test_plan_runs import RESERVE, desk, metric, shop

LOOK = {"skill": "look"}


def ages(http: httpx.Client, *steps: Any, key: str = "none") -> list[float | None]:
    reply = http.post("/v1/plans/run", json=shop(*steps), headers={"Authorization": f"Bearer {key}"})
    assert reply.status_code == 200, reply.text
    return [step["age_seconds"] for step in reply.json()["steps"]]


def test_a_caller_gets_its_own_results_again_and_no_other_caller_does(tree: Path, tmp_path: Path) -> None:
    tools = Effects(tmp_path / "effects").tools
    keys = Keys(client="a", further=("b",), administrator="boss")
    with desk(tree, tools=tools, keys=keys, state_dir=str(tmp_path / "state"), allow_writes=True) as http:
        http.headers["Authorization"] = "Bearer a"
        assert ages(http, LOOK, key="a") == [None]
        (again,) = ages(http, LOOK, key="a")
        assert again is not None
        assert again > 0
        assert ages(http, LOOK, key="b") == [None]
        assert ages(http, LOOK, key="boss") == [None]
        own = 'cache="tool_results"', 'part="workshop"'
        assert [metric(http, f"bb:cache_{name}", *own) for name in ("hits_total", "misses_total", "entries")] == [1, 3, 3]
        assert ages(http, RESERVE, key="b") == [None]
        assert ages(http, LOOK, key="a") == [None], "something was changed since"


def test_how_much_is_kept_of_a_domain_can_be_said(tree: Path, tmp_path: Path) -> None:
    tools = Effects(tmp_path / "effects").tools
    with desk(tree, tools=tools, tool_cache="workshop=1:1000", state_dir=str(tmp_path / "state"), allow_writes=True) as http:
        for at in ("a", "b", "a"):
            assert ages(http, {**LOOK, "args": {"at": at}}) == [None]
        assert metric(http, "bb:cache_evictions_total", 'cache="tool_results"') == 2


def test_every_cache_has_the_same_figures() -> None:
    host, masks = tiny()
    telemetry = Telemetry("tiny")
    pool = PagePool(2, 2)
    jump = JumpForward(host.tokenizer, masks.vocabulary)
    watch_caches(telemetry, masks, jump=jump, pool=pool)

    def figures() -> dict[tuple[str, str], float]:
        found = {}
        for line in telemetry.exposition().decode().splitlines():
            if line.startswith("bb:cache_"):
                name, labels = line.split("{")
                found[name.removeprefix("bb:cache_"), labels.split('cache="')[1].split('"')[0]] = float(line.split()[-1])
        return found

    before = figures()
    assert {cache for _, cache in before} == {"grammars", "masks", "conditions", "jump", "prefix"}
    for cache in ("grammars", "masks", "conditions", "jump", "prefix"):
        assert {("hits_total", cache), ("misses_total", cache), ("entries", cache)} <= set(before)
    constraint = Constraint(kind="json_schema", source='{"type": "integer", "description": "asked for twice"}')
    mask = new_bitmask(len(masks.vocabulary.token_bytes))
    assert not masks.masks.copy_to("a place that is asked for twice", mask)
    masks.masks.put("a place that is asked for twice", mask)
    assert masks.masks.copy_to("a place that is asked for twice", mask)
    for _ in range(2):
        masks.compile(constraint)
        parse_condition("s1.count > 12345")
    jump._encode((), b"an answer")
    jump._encode((), b"an answer")
    telemetry.finished(prompt_tokens=10, cached_tokens=6, tokens=1, reason="stop")
    page = pool.take()
    assert page is not None
    pool.name(page, b"key")
    pool.let_go(page)
    assert pool.take() is not None
    assert pool.take() == page
    after = figures()

    def rise(cache: str) -> tuple[float, float]:
        return tuple(after[name, cache] - before[name, cache] for name in ("hits_total", "misses_total"))  # type: ignore[return-value]

    assert (rise("grammars"), rise("conditions"), rise("jump"), rise("prefix")) == ((1, 1), (1, 1), (1, 1), (6, 4))
    assert after["entries", "prefix"] == 0
    assert after["evictions_total", "prefix"] == 1
    assert rise("masks") == (1, 1)
