"""What a server can reach while it is called: the root as its skill may, what the configuration grants, and nothing else."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable

import pytest

from builderbrain.agent.report import ExecutionReport
from tests.mcp.conftest import Desk
from tests.tools.confined import REFUSED, all_gone

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are made of what Linux has")
Running = Callable[..., ExecutionReport]


def test_requests_of_a_server_are_refused(hostile: Running) -> None:
    report = hostile("asks")
    assert report.entries[0].output["text"] == "refused refused refused refused"


def test_neither_network_nor_files_nor_environment_are_in_reach(
    hostile: Running, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "the-secret")
    monkeypatch.setenv("GRANTED_TOKEN", "granted")
    outside = desk.folder / "secret.txt"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        report = hostile(
            "escapes",
            str(listening.getsockname()[1]),
            str(outside),
            plan="s1=hostile_look()\ns2=hostile_act() after s1",
            environment=["GRANTED_TOKEN"],
        )
    looked, acted = (json.loads(entry.output["text"]) for entry in report.entries)
    for outcomes in (looked, acted):
        assert set(outcomes[:5]) <= REFUSED
        assert outcomes[6:8] == ["None", "'granted'"]
        assert outcomes[8] in REFUSED
    assert looked[5] in REFUSED  # a skill that only looks has a root that cannot be changed
    assert acted[5] == "1"
    assert outside.read_text() == "the-secret-outside"
    assert not (desk.folder / "made").exists()


def test_the_network_is_in_reach_where_the_configuration_grants_it(hostile: Running, desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        report = hostile("escapes", str(listening.getsockname()[1]), str(desk.folder / "secret.txt"), network=True)
    outcomes = json.loads(report.entries[0].output["text"])
    assert outcomes[0].startswith("<socket.socket")
    assert set(outcomes[1:5]) <= REFUSED


def test_what_it_leaves_behind_is_dead(hostile: Running, desk: Desk) -> None:
    marker = f"marker-{desk.folder.name}-{id(desk)}"
    report = hostile("children", marker, timeout_seconds=2.5)
    assert "ran longer" in str(report.entries[0].error)
    assert all_gone(marker)
