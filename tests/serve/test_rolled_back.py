"""A version that the gate does not pass any more is served under no name, whoever said so and however it was loaded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serve.fleet import Fleet, hold, listed, running_fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with running_fleet(tmp_path) as made:
        yield made


def gone(fleet: Fleet, *names: str) -> None:
    """Wait until names are served no longer."""
    end = time.monotonic() + 10
    while {model["id"] for model in fleet.http.get("/v1/models").json()["data"]} & set(names):
        assert time.monotonic() < end, f"{names} are still served"
        time.sleep(0.02)
    for name in names:
        assert fleet.http.post("/v1/completions", json={"model": name, "prompt": "x"}).status_code == 404


def test_what_was_rolled_back_is_served_under_no_name_until_it_is_accepted_and_loaded_again(fleet: Fleet) -> None:
    second, third = fleet.versions["second"], fleet.versions["third"]
    for version, name in ((second, "a"), (second, "b"), (third, "c")):
        assert fleet.post("/v1/versions/load", {"version": version, "model": name}).status_code == 200
    said = fleet.text("a")["choices"]
    assert fleet.post("/v1/versions/promote", {"version": second}).json()["unloaded"] == []
    begun, go_on = hold(fleet, "a")
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(fleet.text, "a")
        assert begun.wait(10)
        back = fleet.post("/v1/versions/rollback", {}).json()
        assert (back["serving"], back["unloaded"]) == (fleet.versions["live"], ["a", "b"])
        gone(fleet, "a", "b")
        go_on.set()
        assert under_way.result()["choices"] == said, "an output that was accepted before ends with its weights"
    assert listed(fleet)["second"]["loaded_as"] == []
    assert fleet.text("c")["choices"][0]["weight_versions"][0]["version"] == third
    assert fleet.post("/v1/versions/load", {"version": second, "model": "a"}).status_code == 403
    fleet.evaluate("second")
    assert "a" not in {model["id"] for model in fleet.http.get("/v1/models").json()["data"]}, "nobody loaded it again"
    assert fleet.post("/v1/versions/load", {"version": second, "model": "a"}).status_code == 200
    assert fleet.text("a")["choices"] == said


@pytest.mark.parametrize("follows", [True, False])
def test_a_rollback_on_the_command_line_or_a_rejection_is_seen_as_well(tmp_path: Path, follows: bool) -> None:
    with running_fleet(tmp_path, follows=follows) as fleet:
        for name in ("second", "third"):
            fleet.post("/v1/versions/load", {"version": fleet.versions[name], "model": name})
        fleet.registry.promote(fleet.versions["second"], expected_live=fleet.versions["live"])
        fleet.registry.rollback()
        gone(fleet, "second")
        assert fleet.text("third")["choices"]
        fleet.evaluate("third", delta=1.0)
        gone(fleet, "third")


def test_a_log_that_cannot_be_believed_takes_nothing_out_of_service(fleet: Fleet) -> None:
    fleet.post("/v1/versions/load", {"version": fleet.versions["second"], "model": "second"})
    log = fleet.registry.root / "audit.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b"promote", b"promoty", 1))
    time.sleep(1.5)
    assert fleet.text("second")["choices"]
    log.write_bytes(whole)
