"""From settings to a server that can be operated, over the bundled base and a real registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.gate.registry import Registry
from builderbrain.rail.bundled import BUNDLED_RAIL
from builderbrain.serve.boundary import ADMIN_PATHS
from builderbrain.serve.compose import compose
from builderbrain.serve.operations import keys_of
from builderbrain.serve.settings import ServeSettings

BOSS = {"Authorization": "Bearer boss"}
NAME = "builderbrain-nano"


@contextmanager
def composed(folder: Path, **more: Any) -> Iterator[TestClient]:
    """A client of a server as the command line makes it."""
    settings = {"root": str(folder), "registry": str(folder / "versions"), "device": "cpu", "admin_api_key": "boss", **more}
    with TestClient(compose(ServeSettings(**settings))) as http:
        yield http


def test_a_server_without_a_registry_says_so_and_points_to_the_command_line(tmp_path: Path) -> None:
    with composed(tmp_path, rate_limit_requests_per_minute=600) as http:
        listed = http.get("/v1/versions").json()
        assert (listed["live"], listed["data"]) == (None, [])
        assert listed["serving"] == http.get("/version").json()["weight_version"]
        refused = http.post("/v1/versions/promote", json={"version": "0" * 16}, headers=BOSS)
        assert refused.status_code == 403
        assert "python -m builderbrain.gate --registry" in refused.json()["error"]["message"]
        bundled = http.post("/v1/load_lora_adapter", json={"lora_name": "a", "lora_path": str(BUNDLED_RAIL)}, headers=BOSS)
        assert bundled.status_code == 403
        assert not (tmp_path / "versions").exists()
        told = http.get("/weight_info").json()["data"]
        assert [(model["model"], len(model["parts"])) for model in told] == [(NAME, 2), (f"{NAME}:base", 1)]
        assert http.post("/weight_checker", headers=BOSS).json()["ok"]
        for path in ADMIN_PATHS:
            assert http.post(path, json={}).status_code == 403
        assert http.get("/is_paused").json()["is_paused"] is False
        assert http.get("/tokenizer_info").json()["vocab_size"] > 0
        question = {"type": "predicate", "instructions": "Is it a file?"}
        answer = http.post("/v1/decisions", json={"input": "a.py", "questions": [question]}).json()["answers"][0]
        assert answer["calibration"] is None


def test_a_version_of_the_registry_is_served_beside_the_live_one_and_says_what_it_says(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "versions")
    version = registry.add(BUNDLED_RAIL)
    registry.promote(version, expected_live=None)
    with composed(tmp_path) as http:
        assert http.get("/v1/versions").json()["serving"] == version
        loaded = http.post("/v1/versions/load", json={"version": version}, headers=BOSS).json()
        assert loaded["model"] == f"{NAME}:{version}"
        body = {"prompt": "search for the gate", "max_tokens": 8, "temperature": 0}
        texts = [http.post("/v1/completions", json={**body, "model": name}).json() for name in (NAME, loaded["model"])]
        assert texts[0]["choices"] == texts[1]["choices"]
        assert http.post("/weight_checker", headers=BOSS).json()["data"][2]["compared_with"][-1] == "rail in the registry"
        assert http.post("/v1/versions/unload", json={"model": loaded["model"]}, headers=BOSS).status_code == 200


def test_further_keys_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# two of them\none\n\ntwo\n")
    settings = ServeSettings(api_keys_file=str(file), api_key="zero", admin_api_key="boss")
    assert keys_of(settings).clients() == ("zero", "one", "two")
    assert keys_of(ServeSettings()).clients() == ()
    file.write_text("# none\n")
    for path in (file, tmp_path / "nowhere"):
        with pytest.raises(ConfigError) as refused:
            keys_of(ServeSettings(api_keys_file=str(path)))
        assert refused.value.field == "api_keys_file"


def test_a_calibration_that_is_not_there_keeps_the_server_from_starting(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="fit-decisions"), composed(tmp_path, decision_calibration=str(tmp_path / "none")):
        pass


@pytest.mark.parametrize(
    "values",
    [{"rate_limit_requests_per_minute": 0}, {"rate_limit_concurrent_requests": 0}, {"max_loaded_versions": -1}],
)
def test_limits_out_of_bounds_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(ConfigError) as refused:
        ServeSettings(**values)  # type: ignore[arg-type]
    assert refused.value.field == next(iter(values))
