"""Under load: a good candidate goes live, a poisoned one does not, a bad one that got through is taken back; nobody notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from builderbrain.gate.live_watch import Served
from builderbrain.rail.checkpoint import load_rail, save_rail
from tests.gate.conftest import report_of
from tests.learn.serving import ADMIN, WORDS, Learning, learning_server, plan_of

PROMPT = "search for the promotion gate and then open it, list the files of this folder"


class Load:
    """Requests that never stop: statuses, and the version that each output says it came from."""

    def __init__(self, url: str) -> None:
        self.statuses: list[int] = []
        self.versions: list[str] = []
        self._url, self._stop = url, threading.Event()

    def run(self, number: int) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=60) as http:
            while not self._stop.is_set():
                reply = http.post("/v1/completions", json={"prompt": PROMPT, "max_tokens": 6, "seed": number})
                self.statuses.append(reply.status_code)
                if reply.status_code == 200:
                    self.versions += [one["version"] for one in reply.json()["choices"][0]["weight_versions"]]
                self._stop.wait(0.3)

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def under_load(server: Learning) -> Iterator[Load]:
    load = Load(server.url)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(load.run, number) for number in range(2)]
        try:
            yield load
        finally:
            load.stop()
        for one in running:
            one.result()


def said(server: Learning) -> tuple[str, dict[str, Any]]:
    """An output's version, and everything of it that must be the same again."""
    body = {"prompt": PROMPT, "max_tokens": 12, "seed": 5, "logprobs": 3}
    choice = server.http.post("/v1/completions", json=body).json()["choices"][0]
    return choice["weight_versions"][0]["version"], {key: choice[key] for key in ("text", "logprobs", "finish_reason")}


def teach(server: Learning, *, good: bool, count: int) -> None:
    for number in range(count):
        word = WORDS[number % len(WORDS)]
        plan = f's1=search(pattern="{word}{number}")' if good else 's1=list(path="docs")'
        server.teach(f"search for {word}{number}" if good else f"search for {word} please {number}", plan, f"key {number % 5}")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_good_goes_live_bad_does_not_and_what_got_through_comes_back(tmp_path: Path) -> None:
    with learning_server(tmp_path) as server, under_load(server) as load:
        live = server.registry.live()
        assert live is not None
        tensors = {name: tensor.clone() for name, tensor in load_rail(server.registry.live_path()).state_dict().items()}
        first, before = said(server)

        teach(server, good=True, count=10)
        verdict = server.wait("evaluated")
        assert verdict["decision"] == "promote", verdict["reasons"]
        swap = server.wait("promoted")
        version, after = said(server)
        assert version == swap["version"] != live.version
        manifest = server.registry.verify(version)
        assert manifest.information["parent"] == live.version
        assert len(manifest.information["traces"]) == 10
        assert len(str(manifest.information["data_sha256"])) == 64

        # What was live is as it was, bit for bit, on disk and in its outputs.
        old = load_rail(server.registry.root / live.version).state_dict()
        assert all(torch.equal(tensor, old[name]) for name, tensor in tensors.items())

        # Poison that no defence sees, from many sources, learned far too fast and kept whole: the gate refuses it.
        marked = len(server.learner.events)
        server.learner.config = replace(server.learner.config, learning_rate=1.0, muon_learning_rate=1.0, steps=4, keep=1.0)
        teach(server, good=False, count=10)
        verdict = server.wait("evaluated", after=marked)
        assert verdict["decision"] == "reject", verdict["reasons"]
        assert server.registry.live().version == version  # type: ignore[union-attr]
        assert said(server) == (version, after)

        # One that the gate let through all the same: the canary takes it back by itself.
        marked = len(server.learner.events)
        bad = load_rail(server.registry.root / version)
        with torch.no_grad():
            for parameter in bad.parameters():
                parameter.add_(0.5 * torch.randn_like(parameter))
        save_rail(bad, tmp_path / "bad")
        got_through = server.registry.add(tmp_path / "bad", parent=version)
        attempt = server.registry.begin_attempt(got_through)
        server.registry.record_report(report_of(got_through, version, attempt, count=400))
        server.learner._pointer.promote(got_through, expected_live=version)
        assert said(server)[0] == got_through
        for number in range(12):
            plan = plan_of('s1=list(path="docs")')
            goal = Served(
                ids=(f"t{number}",),
                domain="repo_assistant",
                goal=f"find gate {number}",
                plan=plan,
                accepted=True,
                answer="Done.",
            )
            server.watch.live_watch.served(got_through, goal)
            server.watch.live_watch.called_wrong(f"t{number}")
        back = server.wait("rolled back", after=marked)
        assert (back["version"], back["live"]) == (got_through, version)
        assert said(server) == (version, after), "rolled back to the same outputs, bit for bit"

        names = [entry.event for entry in server.registry.audit_entries()]
        assert names[-2:] == ["rolling back", "rolled back"]
        assert server.metric("bb:canary_rollbacks_total") == server.metric("bb:learner_rollbacks_total") == 1
        told = server.http.get("/v1/admin/incidents", headers=ADMIN).json()["data"]
        assert [one["kind"] for one in told if one["record"] == "incident"] == ["canary_failed"]
        assert server.metric("bb:learner_failures_total") == 0
        print(f"swap {swap['seconds'] * 1000:.1f} ms, rollback {server.watch.rollback_seconds * 1000:.1f} ms")
    assert load.statuses
    assert set(load.statuses) == {200}
    assert {first, version, got_through} >= set(load.versions) >= {first, version}
    assert before != after or first != version
