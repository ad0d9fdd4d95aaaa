"""Incidents are classed, recorded, shown, and answered: P0 and P1 by one rollback of the live version, P2 and P3 by none."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from builderbrain.agent.breaker import BreakerRecord
from builderbrain.errors import NonFiniteLogitsError, RegistryBusyError, TamperedVersionError, ToolError, VersionNotFoundError
from builderbrain.serve.incidents import LEVELS, Incidents, Kind
from builderbrain.serve.standing_watch import StandingWatch
from tests.agent.turned_clock import TurnedClock
from tests.serve.fleet import BOSS, Fleet, running_fleet
from tests.serve.test_plan_runs import metric

GRAVE: list[Kind] = [kind for kind, level in LEVELS.items() if level in ("P0", "P1")]
MILD: list[Kind] = [kind for kind, level in LEVELS.items() if level in ("P2", "P3")]


class Desk:
    """Incidents over a registry that only notes what it is asked for."""

    def __init__(self, path: Path | None = None, fails: Exception | None = None) -> None:
        self.clock = TurnedClock()
        self.asked: list[str] = []
        self.fails = fails
        self.live = "new"
        self.counted: list[str] = []
        self.answers: list[str] = []
        self.incidents = Incidents(
            path,
            serving=lambda: self.live,
            on_incident=lambda kind, level: self.counted.append(level),
            on_answer=self.answers.append,
            clock=self.clock,
        )
        self.incidents.roll_back_by(self._roll_back)
        self.incidents.start()

    def _roll_back(self, version: str) -> str:
        self.asked.append(version)
        if self.fails is not None:
            raise self.fails
        self.live = "old"
        return self.live

    def tell(self, kind: Kind, subject: str = "a", **more: Any) -> None:
        self.incidents.tell(kind, subject, "it happened", **more)
        self.incidents.settled()

    def records(self) -> list[tuple[str, str]]:
        found = self.incidents.to_json()["data"]
        return [(one["record"], str(one.get("kind") or one.get("status"))) for one in found]


@pytest.mark.parametrize("kind", GRAVE)
def test_a_grave_incident_rolls_the_version_that_serves_back_and_is_recorded_before_and_after(kind: Kind) -> None:
    desk = Desk()
    desk.tell(kind)
    assert (desk.asked, desk.live, desk.answers) == (["new"], "old", ["rolled_back"])
    assert desk.records() == [("incident", kind), ("answer", "rolling_back"), ("answer", "rolled_back")]
    assert desk.incidents.latched


@pytest.mark.parametrize("kind", MILD)
def test_a_mild_incident_is_recorded_and_rolls_nothing_back(kind: Kind) -> None:
    desk = Desk()
    desk.tell(kind)
    assert (desk.asked, desk.answers, desk.records()) == ([], [], [("incident", kind)])
    assert not desk.incidents.latched


def test_the_answer_is_given_once_whoever_tells_how_often_until_it_is_released() -> None:
    desk = Desk()
    threads = [threading.Thread(target=desk.incidents.tell, args=("forbidden_effect", str(n), "x")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk.incidents.settled()
    assert (desk.asked, sorted(desk.answers)) == (["new"], ["latched"] * 7 + ["rolled_back"])
    assert desk.incidents.release()
    assert not desk.incidents.release()
    desk.tell("canary_failed", "again")
    assert desk.asked == ["new", "old"]


def test_the_same_again_is_counted_and_recorded_once_a_minute() -> None:
    desk = Desk()
    for _ in range(3):
        desk.tell("tool_breaker", "tool/look")
    desk.tell("tool_breaker", "tool/inspect")
    assert (len(desk.counted), len(desk.records())) == (4, 2)
    desk.clock.time += 60
    desk.tell("tool_breaker", "tool/look")
    assert len(desk.records()) == 3


def test_records_are_only_appended_and_the_latch_outlasts_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    desk = Desk(path)
    desk.tell("forbidden_effect")
    before = path.read_bytes()
    desk.incidents.stop()
    path.write_bytes(before + b'{"torn": ')
    again = Desk(path)
    assert again.incidents.latched
    again.tell("canary_failed")
    assert (again.asked, again.answers) == ([], ["latched"])
    assert path.read_bytes().startswith(before)
    numbers = [json.loads(line)["sequence"] for line in path.read_text().splitlines() if line.endswith("}")]
    assert numbers == [1, 2, 3, 4, 5]
    again.incidents.release()
    assert not Desk(path).incidents.latched


def test_a_crash_in_the_middle_of_an_answer_leaves_it_latched(tmp_path: Path) -> None:
    path = tmp_path / "incidents.jsonl"
    desk = Desk(path)
    desk.tell("forbidden_effect")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert Desk(path).incidents.latched


@pytest.mark.parametrize(
    ("error", "answer", "latched"),
    [
        (VersionNotFoundError("no former version to go back to"), "failed", True),
        (TamperedVersionError("the log was altered"), "failed", True),
        (OSError("the disk is gone"), "failed", True),
        (RegistryBusyError("expected new to be live, got newer"), "moved_on", False),
    ],
)
def test_a_rollback_that_is_not_made_is_told(error: Exception, answer: str, latched: bool) -> None:
    desk = Desk(fails=error)
    desk.tell("audit_broken")
    assert (desk.answers, desk.live, desk.incidents.latched) == ([answer], "new", latched)
    assert str(error) in desk.incidents.to_json()["data"][-1]["said"]


def test_a_server_without_a_registry_says_that_it_cannot_go_back() -> None:
    incidents = Incidents(None, serving=lambda: "none")
    incidents.start()
    incidents.tell("forbidden_effect", "a", "x")
    incidents.settled()
    assert incidents.to_json()["data"][-1]["status"] == "impossible"


def test_errors_and_breakers_are_classed() -> None:
    desk = Desk()
    broken = NonFiniteLogitsError("no numbers")
    desk.incidents.heard("output", broken, broken.code)
    broken.weight_version = "loaded beside"
    desk.incidents.heard("output", broken, broken.code)
    desk.incidents.heard("step", None, "tool_timeout")
    desk.incidents.heard("reply", ToolError("x"), "plan_rejected")
    assert desk.records() == []
    broken.weight_version = "new"
    desk.incidents.heard("output", broken, broken.code)
    desk.incidents.heard("step", None, "plan_rejected")
    desk.incidents.heard("step", None, "ledger_inconsistent")
    for name, after in (("tool/look", "open"), ("domain/api_json/violations", "open"), ("tool/look", "half_open")):
        change: Any = after
        desk.incidents.breaker_changed(
            BreakerRecord(
                time=0, name=name, action="cool_down", before="closed", after=change, reason="3 failures", cool_down_seconds=1
            )
        )
    kinds = [kind for record, kind in desk.records() if record == "incident"]
    assert kinds == ["broken_weights", "forbidden_effect", "ledger_inconsistent", "tool_breaker", "domain_breaker"]


def test_a_log_is_looked_at_twice_before_it_is_said_to_be_broken() -> None:
    said: list[str] = []
    faults: list[Exception | None] = [TamperedVersionError("read while it was written"), None]

    def withdraw() -> list[str]:
        fault = faults.pop(0) if faults else TamperedVersionError("altered")
        if fault is not None:
            raise fault
        return []

    marks = iter(range(100))
    watch = StandingWatch(mark=lambda: next(marks) // 3, withdraw=withdraw, broken=said.append)
    for _ in range(3):
        watch._look()
    assert said == []
    for _ in range(3):
        watch._look()
    assert said == ["altered"]


def until(fleet: Fleet, status: str) -> list[dict[str, Any]]:
    end = time.monotonic() + 20
    while True:
        data: list[dict[str, Any]] = fleet.http.get("/v1/admin/incidents", headers=BOSS).json()["data"]
        if any(one.get("status") == status for one in data):
            return data
        assert time.monotonic() < end, data
        time.sleep(0.05)


def test_a_failed_canary_rolls_the_live_version_back_and_only_once(tmp_path: Path) -> None:
    with running_fleet(tmp_path, state_dir=str(tmp_path / "state")) as fleet:
        first, second = fleet.versions["live"], fleet.versions["second"]
        assert fleet.post("/v1/versions/promote", {"version": second}).status_code == 200
        canary = {"version": second, "said": "worse on the battery"}
        assert fleet.http.post("/v1/admin/incidents", json=canary).status_code == 403
        assert fleet.post("/v1/admin/incidents", canary).status_code == 200
        data = until(fleet, "rolled_back")
        assert [(one["record"], one.get("level") or one.get("status")) for one in data] == [
            ("incident", "P1"),
            ("answer", "rolling_back"),
            ("answer", "rolled_back"),
        ]
        live = fleet.registry.live()
        assert live is not None
        assert live.version == first
        assert fleet.http.get("/v1/versions").json()["serving"] == first
        assert [entry.event for entry in fleet.registry.audit_entries()][-2:] == ["rolling back", "rolled back"]
        assert metric(fleet.http, "bb:incidents_total", 'level="P1"', 'kind="canary_failed"') == 1
        assert metric(fleet.http, "bb:incident_answers_total", 'status="rolled_back"') == 1
        assert metric(fleet.http, "bb:incidents_latched") == 1
        fleet.post("/v1/admin/incidents", {"version": first, "said": "this one too"})
        until(fleet, "latched")
        assert fleet.http.get("/v1/versions").json()["serving"] == first
        assert fleet.post("/v1/admin/incidents/release", {}).json() == {"was_latched": True}
        assert len((tmp_path / "state" / "incidents.jsonl").read_text().splitlines()) == 6


def test_an_altered_audit_log_is_an_incident_and_what_serves_goes_on(tmp_path: Path) -> None:
    with running_fleet(tmp_path) as fleet:
        log = fleet.registry.root / "audit.jsonl"
        log.write_bytes(log.read_bytes().replace(b"promote", b"promoty", 1))
        data = until(fleet, "failed")
        assert (data[0]["level"], data[0]["kind"]) == ("P0", "audit_broken")
        reply: httpx.Response = fleet.http.get("/v1/models")
        assert reply.status_code == 200
        assert fleet.text("tiny")["choices"]
