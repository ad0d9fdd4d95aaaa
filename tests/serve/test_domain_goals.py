"""Goals of every domain: which rail makes their plans, in which world they run, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from builderbrain.agent import Ledger, PlanRuns, Runtime, WorkingRoot
from builderbrain.agent.locks import ResourceLocks
from builderbrain.errors import ConfigError, NoRailError
from builderbrain.grammar.base import Constraint
from builderbrain.hosts.load import NANO
from builderbrain.plan import get_domain
from builderbrain.rail import bundled
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import PAGE_SIZE, Batcher
from builderbrain.rail.checkpoint import rail_version, save_rail
from builderbrain.rail.rail import BuilderRail
from builderbrain.serve.domain_rails import DomainRails, rail_folders
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.goals import goals_router
from builderbrain.serve.plan_runs import PlanRoutes
from builderbrain.serve.settings import ServeSettings, parse_settings
from tests.agent.turned_clock import TurnedClock
from tests.rail.conftest import make_rail
from tests.serve.running import CONTEXT, running_server, tiny
from tests.serve.scripted import ScriptedModel, scripted_service

LEVELS = frozenset({"read_only", "mutating"})
LOOK, STOP, RESUME = 's1=look(zone="tray")', "s1=stop()", "s1=resume()"
MOVE = 's1=precheck(zone="table")\ns2=move(route=s1.route)'
CALL = 's1=greet()\ns2=verify(method="pin") after s1'


def rail_of(domain: str, *, seed: int = 0, **changed: Any) -> BuilderRail:
    """A small rail whose actions are skills of a domain."""
    host, _ = tiny()
    rail = make_rail(host, seed=seed, jitter=0.3)
    actions = tuple(get_domain(domain).skills)[:2]
    rail.config = replace(rail.config, actions=actions, **changed)
    return rail


def saved(folder: Path, *domains: str) -> dict[str, Path]:
    """A rail for each domain."""
    for seed, domain in enumerate(domains):
        save_rail(rail_of(domain, seed=seed), folder / domain)
    return {domain: folder / domain for domain in domains}


@dataclass
class Desk:
    """A server whose rails say what `says` has for their domain at the moment."""

    http: httpx.Client
    says: dict[str, str]
    made: list[str]
    rails: DomainRails
    runs: PlanRuns

    def goal(self, domain: str, plan: str | None = None, **more: Any) -> dict[str, Any]:
        if plan is not None:
            self.says[domain] = plan
        reply = self.http.post("/v1/goals", json={"goal": "do it", "domain": domain, **more})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def refused(self, domain: str) -> tuple[int, str, str, str]:
        reply = self.http.post("/v1/goals", json={"goal": "do it", "domain": domain})
        error = reply.json()["error"]
        return reply.status_code, error["code"], error["param"], error["message"]


@contextmanager
def desk(tree: Path, folder: Path, folders: Mapping[str, Path], *, granted: frozenset[str] = LEVELS) -> Iterator[Desk]:
    service = scripted_service("s1=list()")
    backend: Any = service.backend
    says: dict[str, str] = {}
    made: list[str] = []
    host, _ = tiny()

    def compiled(source: str) -> Any:
        return backend.mask_engine.compile(Constraint(kind="grammar", source=source), trusted=True)

    class Said(ScriptedModel):
        """Says what there is to say when it is asked."""

        domain = ""

        def start(self, prompt_tokens: Any) -> Any:
            return ScriptedModel(service, says[self.domain], weight_version=self.weight_version).start(prompt_tokens)

    def make(rail: BuilderRail) -> Any:
        model = Said(service, "", weight_version=rail_version(rail))
        model.domain = next(name for name in folders if rail.config.actions[0] in get_domain(name).skills)
        made.append(model.domain)
        return model

    rails = DomainRails(folders=folders, host=host, make=make, backend=backend)
    root = WorkingRoot(tree)
    runtime = Runtime(ledger=Ledger(folder / "ledger.db"), clock=TurnedClock(), locks=ResourceLocks())
    runs = PlanRuns(runtime)
    domains = GoalDomains(service, compiled, rails=rails)
    routers = (
        goals_router(service, domains=domains, root=root, runs=runs, granted=granted),
        PlanRoutes(service=service, runs=runs, root=root, granted=granted).router(),
    )
    with (
        running_server(service, routers=routers) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        yield Desk(http, says, made, rails, runs)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return saved(tmp_path_factory.mktemp("rails"), "robot_cell", "phone_flow")


@pytest.fixture
def cell(tree: Path, tmp_path: Path, folders: dict[str, Path]) -> Iterator[Desk]:
    with desk(tree, tmp_path, folders) as made:
        yield made


def test_a_domains_rail_makes_its_plans_and_its_world_runs_them(cell: Desk) -> None:
    reply = cell.goal("robot_cell", LOOK)
    assert (reply["domain"], reply["plan"]["domain"], reply["verdict"]["accepted"]) == ("robot_cell", "robot_cell", True)
    assert [(entry["skill"], entry["ok"]) for entry in reply["trace"]] == [("look", True)]
    assert reply["trace"][0]["output"]["part"] in (True, False)
    assert reply["weight_version"] == rail_version(rail_of("robot_cell"))
    assert "plans of robot_cell" in reply["deferral_off"]
    plain = cell.http.post("/v1/goals", json={"goal": "list the files"}).json()
    assert (plain["domain"], plain["weight_version"]) == ("repo_assistant", "script-1")


def test_a_rail_is_loaded_when_its_domain_is_first_asked_for_and_once(cell: Desk) -> None:
    def served() -> list[str]:
        return [model["id"] for model in cell.http.get("/v1/models").json()["data"]]

    assert (cell.made, served()) == ([], ["script"])
    cell.says["robot_cell"] = LOOK
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: cell.goal("robot_cell"), range(4)))
    assert cell.made == ["robot_cell"]
    assert served() == ["script", "script:robot_cell"]


def test_the_cell_is_as_the_plan_before_left_it_whatever_route_the_plans_take(cell: Desk) -> None:
    assert cell.goal("robot_cell", STOP)["trace"][0]["ok"]
    lost = cell.goal("robot_cell", MOVE)
    assert [entry["ok"] for entry in lost["trace"]] == [True, False]
    assert "drive" in lost["trace"][1]["error"]
    assert [one["skill"] for one in lost["execution"]["fallbacks"]] == ["safe_pose"]
    over_there = cell.http.post("/v1/plans/run", json={"domain": "robot_cell", "plan": MOVE, "grant": ["mutating"]}).json()
    assert [step["status"] for step in over_there["steps"]] == ["done", "failed"]
    asked = cell.goal("robot_cell", RESUME)
    assert asked["trace"] == []
    token = asked["confirmation"]["token"]
    assert [step["skill"] for step in asked["confirmation"]["steps"]] == ["resume"]
    assert cell.goal("robot_cell", MOVE)["trace"][1]["ok"] is False
    done = cell.http.post("/v1/plans/confirm", json={"token": token, "approve": True}).json()
    assert (done["status"], done["steps"][0]["status"]) == ("finished", "done")
    assert cell.goal("robot_cell", MOVE)["trace"][1]["ok"] is True


def test_every_plan_of_the_phone_is_a_call_of_its_own(cell: Desk) -> None:
    for _ in range(2):
        assert [entry["ok"] for entry in cell.goal("phone_flow", CALL)["trace"]] == [True, True]


def test_a_level_that_is_not_granted_is_refused_and_the_arm_stays(tree: Path, tmp_path: Path, folders: Any) -> None:
    with desk(tree, tmp_path, folders, granted=frozenset({"read_only"})) as cell:
        reply = cell.goal("robot_cell", MOVE)
        assert (reply["verdict"]["accepted"], reply["trace"]) == (False, [])
        assert "safe_pose" in next(step["said"] for step in reply["fallback"] if step["stage"] == "domain")


def test_a_refused_plan_ends_with_what_the_domain_falls_back_on(cell: Desk) -> None:
    reply = cell.goal("robot_cell", "s1=release()")
    assert reply["verdict"]["accepted"] is False
    assert [entry["skill"] for entry in reply["trace"]] == ["safe_pose"]
    assert cell.goal("robot_cell", LOOK)["trace"][0]["ok"]


def test_a_domain_that_is_not_there_or_has_no_rail_is_named(cell: Desk) -> None:
    status, code, field, said = cell.refused("robot_sell")
    assert (status, code, field) == (400, "invalid_request", "domain")
    assert "robot_cell" in said
    status, code, field, said = cell.refused("ui_macro")
    assert (status, code, field) == (409, "no_rail", "domain")
    assert "phone_flow, robot_cell" in said
    assert "--domain-rail ui_macro=FOLDER" in said


def test_a_rail_that_does_not_fit_is_refused_by_what_is_wrong_with_it(tree: Path, tmp_path: Path) -> None:
    found = saved(tmp_path, "robot_cell")
    save_rail(rail_of("phone_flow"), tmp_path / "of phone")
    save_rail(rail_of("robot_cell", base_name="somebody/else"), tmp_path / "other base")
    (found["robot_cell"] / "rail.safetensors").write_bytes(b"torn")
    cases = [
        (found["robot_cell"], "torn"),
        (tmp_path / "of phone", "robot_cell has no skill"),
        (tmp_path / "other base", "trained beside somebody/else"),
        (tmp_path / "nowhere", "config.json is missing"),
    ]
    for folder, words in cases:
        with desk(tree, folder.parent, {"robot_cell": folder}) as cell:
            status, code, field, said = cell.refused("robot_cell")
            assert (status, code, field) == (409, "no_rail", "domain"), said
            assert words in said
            cell.runs.runtime.ledger.close()  # type: ignore[union-attr]


def test_a_version_under_the_name_of_a_domain_is_not_overwritten(cell: Desk) -> None:
    backend = cell.rails.backend
    backend.replace("script:robot_cell", backend.token_models()["script"])
    with pytest.raises(NoRailError, match="unload it"):
        cell.rails.model("robot_cell")


def test_domains_decode_in_one_batch_each_with_its_own_weights(tmp_path: Path) -> None:
    host, _ = tiny()
    batcher = Batcher(host, num_pages=8 * CONTEXT // PAGE_SIZE, max_tokens=64)
    service = scripted_service("")
    backend: Any = service.backend
    rails = DomainRails(
        folders=saved(tmp_path, "robot_cell", "phone_flow"),
        host=host,
        make=lambda rail: BatchedModel(batcher, rail),
        backend=backend,
    )
    names = [rails.model(domain) for domain in ("robot_cell", "phone_flow")]
    models = backend.token_models()
    states = [models[name].start([5, 6, 7]) for name in names]
    while not all(state.ready for state in states):
        batcher.run()
    first, second = (state.logits() for state in states)
    assert not first.equal(second)
    assert [models[name].weight_version for name in names] == [
        rail_version(rail_of("robot_cell", seed=0)),
        rail_version(rail_of("phone_flow", seed=1)),
    ]


def test_rails_are_named_on_the_command_line_and_in_the_file(tmp_path: Path) -> None:
    given = parse_settings(["--domain-rail", "robot_cell=a/b", "--domain-rail", "phone_flow=none"])
    assert given.domain_rail == {"robot_cell": "a/b", "phone_flow": "none"}
    file = tmp_path / "serve.yaml"
    file.write_text("domain_rail:\n  robot_cell: a/b\n")
    assert parse_settings(["--config", str(file)]).domain_rail == {"robot_cell": "a/b"}
    assert ServeSettings().domain_rail == {}
    with pytest.raises(ConfigError, match="robot_cell twice"):
        parse_settings(["--domain-rail", "robot_cell=a", "--domain-rail", "robot_cell=b"])
    with pytest.raises(SystemExit):
        parse_settings(["--domain-rail", "robot_cell"])


def test_a_named_rail_is_looked_at_before_the_server_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host, _ = tiny()
    found = saved(tmp_path, "robot_cell", "phone_flow")
    monkeypatch.setattr(bundled, "BUNDLED_DOMAIN_RAILS", tmp_path)
    named = ServeSettings(domain_rail={"robot_cell": str(found["robot_cell"])}, model="another")
    assert rail_folders(named, host) == {"robot_cell": found["robot_cell"]}
    assert rail_folders(ServeSettings(model=NANO), host) == found
    assert rail_folders(ServeSettings(model=NANO, rail="none"), host) == {}
    (tmp_path / "repo_assistant").mkdir()
    assert "repo_assistant" in rail_folders(ServeSettings(model=NANO), host)
    assert rail_folders(ServeSettings(model=NANO), host, live=True) == found
    assert rail_folders(ServeSettings(model=NANO, rail="somewhere"), host) == found
    (tmp_path / "repo_assistant").rmdir()
    without = ServeSettings(model=NANO, domain_rail={"robot_cell": "none"})
    assert rail_folders(without, host) == {"phone_flow": found["phone_flow"]}
    for domain, folder, words in (
        ("robot_sell", str(found["robot_cell"]), "did you mean robot_cell"),
        ("ui_macro", str(found["robot_cell"]), "ui_macro has no skill"),
        ("robot_cell", str(tmp_path / "nowhere"), "missing"),
    ):
        with pytest.raises(ConfigError, match=words) as refused:
            rail_folders(ServeSettings(domain_rail={domain: folder}), host)
        assert refused.value.field == "domain_rail"
        assert f"--domain-rail {domain}=" in refused.value.message
