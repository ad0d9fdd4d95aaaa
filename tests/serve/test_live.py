"""Following the registry: outputs in flight keep their version, bad versions change nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from builderbrain.decode.model import TokenState
from builderbrain.errors import TamperedVersionError
from builderbrain.serve.boundary import Keys
from builderbrain.serve.live import LiveFollower, live_router
from builderbrain.serve.model_backend import ModelBackend
from tests.serve.running import running_server
from tests.serve.scripted import ScriptedModel, scripted_service


class FakeRegistry:
    """A pointer that a test moves."""

    def __init__(self) -> None:
        self.pointer: str | None = "v1"
        self.loads = 0
        self.installed: list[Any] = []

    def load(self, version: str) -> Any:
        self.loads += 1
        if version == "bad":
            raise TamperedVersionError("expected the digest in the manifest, got another", field="bad")
        return version

    def follower(self, **more: Any) -> LiveFollower:
        options = {"load": self.load, "install": self.installed.append, "poll_seconds": 0.01, **more}
        return LiveFollower(current=lambda: self.pointer, version="v1", **options)


def test_nothing_happens_while_the_pointer_stands() -> None:
    registry = FakeRegistry()
    follower = registry.follower()
    assert follower.follow() == "v1"
    registry.pointer = None
    assert follower.follow() == "v1"
    assert registry.loads == 0


def test_a_new_version_is_installed_by_itself() -> None:
    registry = FakeRegistry()
    follower = registry.follower()
    follower.start()
    registry.pointer = "v2"
    end = time.monotonic() + 5
    while follower.version != "v2":
        assert time.monotonic() < end
        time.sleep(0.01)
    follower.stop()
    assert registry.installed == ["v2"]


def test_a_version_that_cannot_be_loaded_changes_nothing_and_is_tried_once() -> None:
    registry = FakeRegistry()
    follower = registry.follower()
    follower.start()
    registry.pointer = "bad"
    time.sleep(0.2)
    follower.stop()
    assert follower.version == "v1"
    assert registry.loads == 1
    with pytest.raises(TamperedVersionError):
        follower.follow()


def test_outputs_in_flight_finish_on_their_version() -> None:
    service = scripted_service("the gate" * 20)
    backend = service.backend
    assert isinstance(backend, ModelBackend)
    registry = FakeRegistry()
    follower = registry.follower(
        load=lambda version: ScriptedModel(service, "x", weight_version=version),
        install=lambda model: backend.replace("script", model),
        poll_seconds=60,
    )
    body = {"prompt": "x", "max_tokens": 60}
    under_way, promoted = threading.Event(), threading.Event()
    first = backend._models["script"]
    start = first.start

    def held(prompt: Sequence[int]) -> TokenState:
        under_way.set()
        assert promoted.wait(30)
        return start(prompt)

    first.start = held  # type: ignore[method-assign]
    with (
        running_server(
            service, routers=(live_router(follower),), lifetimes=(follower,), keys=Keys(administrator="boss")
        ) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
        ThreadPoolExecutor(1) as pool,
    ):
        before = pool.submit(http.post, "/v1/completions", json=body)
        assert under_way.wait(30)
        registry.pointer = "v2"
        assert http.post("/v1/admin/reload").status_code == 403
        assert http.post("/v1/admin/reload", headers={"Authorization": "Bearer boss"}).json() == {"version": "v2"}
        promoted.set()
        after = http.post("/v1/completions", json=body).json()
        assert http.get("/version").json()["weight_version"] == "v2"
    old = before.result().json()
    assert [old["choices"][0]["weight_versions"][0]["version"], after["choices"][0]["weight_versions"][0]["version"]] == [
        "script-1",
        "v2",
    ]
    assert old["system_fingerprint"] != after["system_fingerprint"]
    assert after["choices"][0]["text"] == "x"
