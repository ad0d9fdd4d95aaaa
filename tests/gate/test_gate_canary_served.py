"""A server without a learner: goals over HTTP are compared with the version before, and a worse version goes by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient

from builderbrain.errors import JudgeError
from builderbrain.gate.attach import attach
from builderbrain.gate.registry import Registry
from builderbrain.gate.shipped import JUDGE
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.rail.checkpoint import load_rail, save_rail
from builderbrain.serve.compose import compose
from builderbrain.serve.settings import ServeSettings
from tests.gate.conftest import report_of
from tests.learn.serving import ADMIN, ground, learn_settings

GOALS = (
    "find the retry policy",
    "list docs",
    "read README.md",
    "search for the ledger and open the first",
    "list the folder src",
)


@pytest.fixture
def settings(tmp_path: Path) -> ServeSettings:
    registry = Registry(tmp_path / "versions")
    registry.promote(registry.add(BUNDLED_RAIL), expected_live=None)
    (tmp_path / "root").mkdir()
    return ServeSettings(
        root=str(tmp_path / "root"), registry=str(registry.root), device="cpu", admin_api_key="boss", max_num_seqs=4
    )


@pytest.fixture
def registry(settings: ServeSettings) -> Registry:
    return Registry(Path(settings.registry))


@contextmanager
def served(settings: ServeSettings) -> Iterator[TestClient]:
    with TestClient(compose(settings, watch=attach)) as http:
        yield http


def promote(registry: Registry, folder: Path, *, noise: float) -> str:
    """A version made of live with noise, live on a report that says it is as good."""
    live = registry.live()
    assert live is not None
    rail = load_rail(registry.live_path())
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in rail.parameters():
            parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
    save_rail(rail, folder / f"noise-{noise}")
    version = registry.add(folder / f"noise-{noise}", parent=live.version)
    registry.record_report(report_of(version, live.version, registry.begin_attempt(version), count=400))
    registry.promote(version, expected_live=live.version)
    return version


def ask(http: TestClient, number: int) -> dict[str, object]:
    body = {"goal": GOALS[number % len(GOALS)], "dry_run": True, "store": False}
    reply = http.post("/v1/goals", json=body)
    assert reply.status_code == 200, reply.text
    assert "trace_id" not in reply.json()
    return dict(reply.json())


def until(http: TestClient, key: str, value: object, seconds: float = 60.0) -> dict[str, object]:
    end = time.monotonic() + seconds
    while (found := dict(http.get("/v1/canary").json()))[key] != value:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def test_the_first_version_is_not_watched_and_an_equal_one_stays(
    settings: ServeSettings, registry: Registry, tmp_path: Path
) -> None:
    with served(settings) as http:
        ask(http, 0)
        assert http.get("/v1/canary").json()["observed"] == 0
        version = promote(registry, tmp_path, noise=1e-9)
        http.post("/v1/admin/reload", headers=ADMIN)
        assert all(ask(http, number)["weight_version"] == version for number in range(6))
        found = until(http, "observed", 6)
        assert (found["version"], found["phase"], found["standing"]) == (version, "watching", "watching")
        assert "risk: 0 of 6" in found["missing"]  # type: ignore[operator]
        assert "bb:canary_readings 6.0" in http.get("/metrics").text
        assert http.get("/v1/canary", headers={"Authorization": "Bearer boss"}).status_code == 200
    with served(settings) as http:  # a restart has lost nothing
        ask(http, 6)
        assert until(http, "observed", 7)["version"] == version


def test_a_worse_version_is_taken_back_by_its_own_answers(settings: ServeSettings, registry: Registry, tmp_path: Path) -> None:
    with served(settings) as http:
        before = registry.live()
        assert before is not None
        version = promote(registry, tmp_path, noise=0.5)
        http.post("/v1/admin/reload", headers=ADMIN)
        for number in range(40):
            if ask(http, number)["weight_version"] != version:
                break
        until(http, "version", before.version)
        assert ask(http, 99)["weight_version"] == before.version
        assert registry.live().version == before.version  # type: ignore[union-attr]
        last = registry.audit_entries()[-1]
        assert (last.event, last.details["by"]) == ("rolled back", "the canary")
        told = http.get("/v1/admin/incidents", headers=ADMIN).json()["data"]
        assert any(one.get("kind") == "canary_failed" for one in told)
        assert "bb:canary_rollbacks_total 1.0" in http.get("/metrics").text


def test_another_base_needs_a_judge_of_its_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    learning = vars(learn_settings(tmp_path)) | {"learn": None, "learn_config": None}
    assert Path(learning["judge"]) == ground().judge
    with served(ServeSettings(**{**learning, "judge": None})) as http:
        assert "--judge FOLDER" in caplog.text
        assert http.get("/v1/canary").status_code == 404
    with pytest.raises(JudgeError):
        compose(ServeSettings(**{**learning, "judge": str(JUDGE)}), watch=attach)
