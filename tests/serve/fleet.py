"""A server over a tiny base and a real registry: one live builder, two that the gate accepted, and others that it did not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter

from builderbrain.decode.model import TokenState
from builderbrain.gate.registry import Registry
from builderbrain.rail.batched_model import BatchedModel
from builderbrain.rail.batching import PAGE_SIZE, Batcher
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.rail.rail import BuilderRail
from builderbrain.serve.boundary import Keys
from builderbrain.serve.decision_calibration import Calibrations
from builderbrain.serve.engine import Engine
from builderbrain.serve.live import LiveFollower, live_router
from builderbrain.serve.model_backend import ModelBackend, TokenizerFacts
from builderbrain.serve.operations import operations
from builderbrain.serve.service import Service
from builderbrain.serve.settings import ServeSettings
from builderbrain.serve.telemetry import Telemetry
from builderbrain.serve.version_store import VersionStore
from tests.gate.conftest import report_of
from tests.hosts.tiny_models import END_TOKEN
from tests.rail.conftest import make_rail
from tests.serve.running import CONTEXT, RunningServer, running_server, tiny

BOSS = {"Authorization": "Bearer boss"}
PROMPT = "search for the promotion gate and then open it, list the files of this folder and read the first path"


@dataclass
class Fleet:
    """A running server and what it stands on. `versions` by name: live, second, third, rejected, unseen."""

    server: RunningServer
    http: httpx.Client
    registry: Registry
    versions: dict[str, str]
    folders: dict[str, Path]
    batcher: Batcher
    backend: ModelBackend

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """As the administrator."""
        return self.http.post(path, json=body, headers=BOSS)

    def text(self, model: str, **more: Any) -> dict[str, Any]:
        """A completion."""
        body = {"model": model, "prompt": PROMPT, "max_tokens": 12, "seed": 5, **more}
        return dict(self.http.post("/v1/completions", json=body).json())

    def evaluate(self, name: str, *, delta: float = 0.0) -> None:
        """Record what the gate said of a version against the live one; a rise of the risk is a rejection."""
        version = self.versions[name]
        live = self.registry.live()
        attempt = self.registry.begin_attempt(version)
        self.registry.record_report(report_of(version, live.version if live else None, attempt, delta=delta))


@contextmanager
def running_fleet(
    folder: Path,
    *,
    follows: bool = True,
    further: Callable[[Service], Sequence[APIRouter]] = lambda service: (),
    **settings: Any,
) -> Iterator[Fleet]:
    """Serve with `settings` over those of the tests.

    Args:
        follows: whether the default model follows the registry.
        further: more routes.
    """
    host, masks = tiny()
    registry = Registry(folder / "versions", keep=8)
    folders = {}
    for seed, name in enumerate(("live", "second", "third", "rejected", "unseen", "outside")):
        folders[name] = folder / name
        save_rail(make_rail(host, seed=seed, jitter=0.3), folders[name])
    versions = {name: registry.add(path) for name, path in folders.items() if name != "outside"}
    registry.promote(versions["live"], expected_live=None)
    batcher = Batcher(host, num_pages=8 * CONTEXT // PAGE_SIZE, max_tokens=64)

    def make(rail: BuilderRail, version: str) -> BatchedModel:
        return BatchedModel(batcher, rail, weight_version=version)

    live = make(load_rail(registry.live_path()), versions["live"])
    backend = ModelBackend(
        {"tiny": live, "tiny:base": BatchedModel(batcher, None)},
        root="tiny-base",
        mask_engine=masks,
        facts=TokenizerFacts(special_tokens={END_TOKEN: 0}, prefix=()),
        description="tiny-base float32",
    )
    telemetry = Telemetry("tiny")
    engine = Engine(max_running=32, max_waiting=64, deadline_seconds=60, observer=telemetry, run_model=batcher.run)
    service = Service(backend=backend, engine=engine, telemetry=telemetry)
    store = VersionStore(registry.root, host=host, make=make)
    follower = LiveFollower(
        current=store.live,
        load=store.open,
        install=lambda model: backend.replace("tiny", model),
        version=versions["live"],
        poll_seconds=60,
    )
    chosen = ServeSettings(**{"root": str(folder), "registry": str(registry.root), **settings})
    routers, lifetimes = operations(chosen, service, backend, store, follower if follows else None, Calibrations())
    with (
        running_server(
            service,
            routers=(*routers, live_router(follower), *further(service)),
            lifetimes=(follower, *lifetimes),
            keys=Keys(administrator="boss"),
        ) as started,
        httpx.Client(base_url=started.url, trust_env=False, timeout=60) as http,
    ):
        fleet = Fleet(started, http, registry, versions, folders, batcher, backend)
        for name in ("second", "third"):
            fleet.evaluate(name)
        fleet.evaluate("rejected", delta=1.0)
        yield fleet


def listed(fleet: Fleet) -> dict[str, dict[str, Any]]:
    """How each version stands, by its name."""
    rows = {row["id"]: row for row in fleet.http.get("/v1/versions").json()["data"]}
    return {name: rows[version] for name, version in fleet.versions.items()}


def hold(fleet: Fleet, name: str) -> tuple[threading.Event, threading.Event]:
    """Stop the next output of a model before its first token: (it has begun, let it go on)."""
    begun, go_on = threading.Event(), threading.Event()
    model: Any = fleet.backend.token_models()[name]
    start = model.start

    def held(prompt: Sequence[int]) -> TokenState:
        begun.set()
        assert go_on.wait(30)
        return start(prompt)

    model.start = held
    return begun, go_on
