"""Builder versions beside the live one: what the gate passed is served, the rest is not, and nobody notices."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from builderbrain.rail.checkpoint import save_rail
from tests.rail.conftest import make_rail
from tests.serve.fleet import BOSS, PROMPT, Fleet, hold, listed, running_fleet
from tests.serve.running import tiny


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet whose registry the test leaves as it was."""
    with running_fleet(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet of the test's own."""
    with running_fleet(tmp_path) as made:
        yield made


def test_the_list_says_how_each_version_stands(shared: Fleet) -> None:
    reply = shared.http.get("/v1/versions").json()
    assert reply["live"] == reply["serving"] == shared.versions["live"]
    assert {name: row["standing"] for name, row in listed(shared).items()} == {
        "live": "live",
        "second": "accepted",
        "third": "accepted",
        "rejected": "rejected",
        "unseen": "not evaluated",
    }


def test_a_loaded_version_is_a_model_of_its_own(shared: Fleet) -> None:
    version = shared.versions["second"]
    assert shared.post("/v1/versions/load", {"version": version}).json()["model"] == f"tiny:{version}"
    try:
        assert listed(shared)["second"]["loaded_as"] == [f"tiny:{version}"]
        assert f"tiny:{version}" in [model["id"] for model in shared.http.get("/v1/models").json()["data"]]
        reply = shared.text(f"tiny:{version}")
        assert reply["choices"][0]["weight_versions"][0]["version"] == version
        assert reply["choices"][0]["text"] != shared.text("tiny")["choices"][0]["text"]
        # Once more is no error, and changes nothing.
        assert shared.post("/v1/versions/load", {"version": version}).status_code == 200
    finally:
        assert shared.post("/v1/versions/unload", {"model": f"tiny:{version}"}).status_code == 200
    gone = shared.http.post("/v1/completions", json={"model": f"tiny:{version}", "prompt": "x"})
    assert (gone.status_code, gone.json()["error"]["param"]) == (404, "model")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("rejected", 403, "rejected"), ("unseen", 403, "builderbrain.gate --registry"), ("nowhere", 404, "known:")],
)
def test_what_the_gate_has_not_passed_is_not_served(shared: Fleet, name: str, status: int, words: str) -> None:
    version = shared.versions.get(name, "0" * 16)
    reply = shared.post("/v1/versions/load", {"version": version})
    assert reply.status_code == status
    assert words in reply.json()["error"]["message"]
    assert [model["id"] for model in shared.http.get("/v1/models").json()["data"]] == ["tiny", "tiny:base"]


def test_vllms_routes_for_adapters_go_through_the_gate(shared: Fleet) -> None:
    def load(path: object, **more: object) -> httpx.Response:
        return shared.post("/v1/load_lora_adapter", {"lora_name": "helper", "lora_path": str(path), **more})

    for name, words in (("outside", "does not know"), ("unseen", "has not passed"), ("rejected", "has not passed")):
        refused = load(shared.folders[name])
        assert refused.status_code == 403
        assert words in refused.json()["error"]["message"]
        assert "python -m builderbrain.gate" in refused.json()["error"]["message"]
    assert load(shared.folders["second"].parent / "nothing").status_code == 403
    assert load(shared.folders["second"]).text == "Success: LoRA adapter 'helper' added successfully."
    assert shared.text("helper")["choices"][0]["weight_versions"][0]["version"] == shared.versions["second"]
    taken = load(shared.versions["third"])
    assert (taken.status_code, taken.json()["error"]["param"]) == (409, "lora_name")
    assert load(shared.versions["third"], load_inplace=True).status_code == 200
    assert shared.text("helper")["choices"][0]["weight_versions"][0]["version"] == shared.versions["third"]
    removed = shared.post("/v1/unload_lora_adapter", {"lora_name": "helper"})
    assert removed.text == "Success: LoRA adapter 'helper' removed successfully."
    gone = shared.post("/v1/unload_lora_adapter", {"lora_name": "helper"})
    assert (gone.status_code, gone.json()["error"]["param"]) == (404, "lora_name")


def test_what_changed_in_the_folder_after_the_gate_saw_it_is_another_version(shared: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    save_rail(make_rail(tiny()[0], seed=99), folder)
    (folder / "rail.safetensors").write_bytes((folder / "rail.safetensors").read_bytes()[:-1] + b"\x01")
    reply = shared.post("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": str(folder)})
    assert reply.status_code == 403


@pytest.mark.parametrize("name", ["tiny", "tiny:base", "nobody"])
def test_only_what_was_loaded_can_be_unloaded(shared: Fleet, name: str) -> None:
    assert shared.post("/v1/versions/unload", {"model": name}).status_code == 404


def test_a_name_that_is_taken_is_refused(shared: Fleet) -> None:
    for replace in (False, True):
        body = {"version": shared.versions["second"], "model": "tiny:base", "replace": replace}
        assert shared.post("/v1/versions/load", body).status_code == 409


@pytest.mark.parametrize("action", ["load", "unload", "promote", "rollback", "anything"])
def test_only_the_administrator_changes_versions(shared: Fleet, action: str) -> None:
    assert shared.http.post(f"/v1/versions/{action}", json={}).status_code == 403


@pytest.mark.parametrize("path", ["/v1/load_lora_adapter", "/v1/unload_lora_adapter"])
def test_only_the_administrator_changes_adapters(shared: Fleet, path: str) -> None:
    assert shared.http.post(path, json={"lora_name": "x", "lora_path": "y"}).status_code == 403


def test_so_many_versions_may_be_loaded(tmp_path: Path) -> None:
    with running_fleet(tmp_path, max_loaded_versions=1) as fleet:
        assert fleet.post("/v1/versions/load", {"version": fleet.versions["second"], "model": "a"}).status_code == 200
        refused = fleet.post("/v1/versions/load", {"version": fleet.versions["third"], "model": "b"})
        assert (refused.status_code, "max-loaded-versions" in refused.json()["error"]["message"]) == (409, True)
        fleet.post("/v1/versions/unload", {"model": "a"})
        assert fleet.post("/v1/versions/load", {"version": fleet.versions["third"], "model": "b"}).status_code == 200


def test_a_rail_of_another_base_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    host, _ = tiny()
    folder = tmp_path / "elsewhere"
    rail = make_rail(host, seed=50)
    object.__setattr__(
        rail.config, "tap_points", tuple(point - 1 for point in rail.config.tap_points[:-1]) + rail.config.tap_points[-1:]
    )
    save_rail(rail, folder)
    fleet.versions["elsewhere"] = fleet.registry.add(folder)
    fleet.evaluate("elsewhere")
    reply = fleet.post("/v1/versions/load", {"version": fleet.versions["elsewhere"]})
    assert reply.status_code == 409
    assert "does not fit the base" in reply.json()["error"]["message"]


def test_a_damaged_version_is_refused_and_shows(fleet: Fleet) -> None:
    weights = fleet.registry.root / fleet.versions["second"] / "rail.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    reply = fleet.post("/v1/versions/load", {"version": fleet.versions["second"]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "tampered_version")
    assert listed(fleet)["second"]["standing"] == "damaged"


@pytest.mark.parametrize("path", ["/v1/versions/promote", "/v1/admin/reload"])
def test_a_damaged_version_does_not_go_live(fleet: Fleet, path: str) -> None:
    version = fleet.versions["second"]
    if path == "/v1/admin/reload":  # damaged after it was promoted, before the server looked
        fleet.registry.promote(version, expected_live=fleet.versions["live"])
    weights = fleet.registry.root / version / "rail.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    reply = fleet.post(path, {"version": version})
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "tampered_version")
    assert fleet.http.get("/version").json()["weight_version"] == fleet.versions["live"]
    assert fleet.text("tiny")["choices"][0]["weight_versions"][0]["version"] == fleet.versions["live"]


def test_outputs_go_on_while_a_version_is_loaded(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    from builderbrain.serve import version_store

    load = version_store.load_rail

    def slow(folder: Path) -> Any:
        reading.set()
        assert go_on.wait(30)
        return load(folder)

    monkeypatch.setattr(version_store, "load_rail", slow)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(fleet.post, "/v1/versions/load", {"version": fleet.versions["second"]})
        assert reading.wait(10)
        assert fleet.text("tiny")["usage"]["completion_tokens"] > 0
        assert fleet.http.get("/health").status_code == 200
        assert not loading.done()
        go_on.set()
        assert loading.result().status_code == 200


def test_three_builders_in_one_batch_say_what_each_says_alone_and_one_leaves_mid_flight(fleet: Fleet) -> None:
    for name in ("second", "third"):
        fleet.post("/v1/versions/load", {"version": fleet.versions[name], "model": name})
    names = ("tiny", "second", "third")
    alone = {name: fleet.text(name) for name in names}
    assert len({reply["choices"][0]["text"] for reply in alone.values()}) == 3
    begun, go_on = hold(fleet, "third")
    passes = fleet.batcher.counts.passes
    with ThreadPoolExecutor(4) as pool:
        running = {name: pool.submit(fleet.text, name) for name in ("third", "tiny", "second")}
        assert begun.wait(10)
        # A further output of the leaving version is accepted, but has not begun.
        queued = pool.submit(fleet.text, "third")
        end = time.monotonic() + 10
        while len(fleet.server.service.engine.outstanding()) < 4:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert fleet.post("/v1/versions/unload", {"model": "third"}).json()["under_way"] == 4
        assert fleet.http.post("/v1/completions", json={"model": "third", "prompt": "x"}).status_code == 404
        go_on.set()
        found = {name: future.result() for name, future in running.items()}
        assert queued.result()["choices"] == alone["third"]["choices"]
    assert {name: reply["choices"] for name, reply in found.items()} == {
        name: reply["choices"] for name, reply in alone.items()
    }
    assert found["third"]["choices"][0]["weight_versions"][0]["version"] == fleet.versions["third"]
    # Together: as many passes as one output needs and a few more, not four times as many.
    assert fleet.batcher.counts.passes - passes < 3 * alone["tiny"]["usage"]["completion_tokens"] + 8
    fleet.server.wait_until_idle()
    assert fleet.backend._leaving == {}


def test_the_bases_pages_survive_every_load_unload_and_swap(fleet: Fleet) -> None:
    def cached(model: str) -> int:
        return int(fleet.text(model)["usage"]["prompt_tokens_details"]["cached_tokens"])

    fleet.text("tiny:base")
    pages = cached("tiny:base")
    assert pages > 0
    known = set(fleet.batcher.pool._page_of)
    fleet.post("/v1/versions/load", {"version": fleet.versions["second"], "model": "second"})
    fleet.text("second")
    fleet.post("/v1/versions/unload", {"model": "second"})
    assert fleet.post("/v1/versions/promote", {"version": fleet.versions["third"]}).json()["serving"] == fleet.versions["third"]
    fleet.text("tiny")
    assert cached("tiny:base") == pages
    assert fleet.post("/v1/versions/rollback", {}).json()["serving"] == fleet.versions["live"]
    assert cached("tiny:base") == pages
    assert known <= set(fleet.batcher.pool._page_of)


def test_promotion_over_http_follows_the_gates_rules_and_is_followed_at_once(fleet: Fleet) -> None:
    live, second = fleet.versions["live"], fleet.versions["second"]
    for name in ("unseen", "rejected"):
        refused = fleet.post("/v1/versions/promote", {"version": fleet.versions[name]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "gate_refused")
    stale = fleet.post("/v1/versions/promote", {"version": second, "expected_live": fleet.versions["third"]})
    assert stale.status_code == 409
    assert {"code": "registry_busy", "param": "expected_live"}.items() <= stale.json()["error"].items()
    stale = fleet.post("/v1/versions/rollback", {"expected_live": second})
    assert (stale.status_code, stale.json()["error"]["param"]) == (409, "expected_live")
    before = fleet.text("tiny")
    reply = fleet.post("/v1/versions/promote", {"version": second, "expected_live": live})
    assert reply.json() == {"live": second, "previous": [live], "sequence": 2, "serving": second, "unloaded": []}
    assert fleet.text("tiny")["choices"][0]["weight_versions"][0]["version"] == second
    # The report of the third compares it with what was live before: it would have to be evaluated again.
    assert fleet.post("/v1/versions/promote", {"version": fleet.versions["third"]}).status_code == 403
    back = fleet.post("/v1/versions/rollback", {"expected_live": second})
    assert (back.json()["live"], back.json()["serving"]) == (live, live)
    assert fleet.text("tiny")["choices"] == before["choices"]
    assert listed(fleet)["second"]["standing"] == "rolled back"
    assert fleet.post("/v1/versions/load", {"version": second}).status_code == 403
    assert fleet.post("/v1/versions/rollback", {}).status_code == 404
    events = [entry.event for entry in fleet.registry.audit_entries()]
    assert events[-4:] == ["promoting", "promoted", "rolling back", "rolled back"]


def test_a_server_that_was_told_its_builder_moves_no_pointer(tmp_path: Path) -> None:
    with running_fleet(tmp_path, follows=False) as fleet:
        for action, body in (("promote", {"version": fleet.versions["second"]}), ("rollback", {})):
            refused = fleet.post(f"/v1/versions/{action}", body)
            assert refused.status_code == 409
            assert "--rail" in refused.json()["error"]["message"]
        assert fleet.post("/v1/versions/load", {"version": fleet.versions["second"]}).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/versions/load", {}, "version"),
        ("/v1/versions/load", {"version": "a", "model": "a b"}, "model"),
        ("/v1/versions/load", {"version": "a", "modell": "b"}, "modell"),
        ("/v1/versions/promote", {"version": 3}, "version"),
        ("/v1/load_lora_adapter", {"lora_name": "a"}, "lora_path"),
        ("/v1/load_lora_adapter", {"lora_name": "a", "lora_path": "a\0b"}, "lora_path"),
    ],
)
def test_a_wrong_field_is_named(shared: Fleet, path: str, body: dict[str, Any], field: str) -> None:
    reply = shared.post(path, body)
    assert (reply.status_code in (400, 403), reply.json()["error"]["param"]) == (True, field)


def test_the_weights_in_memory_are_described_and_a_flipped_bit_is_found(fleet: Fleet) -> None:
    fleet.post("/v1/versions/load", {"version": fleet.versions["second"], "model": "second"})
    told = {model["model"]: model for model in fleet.http.get("/weight_info").json()["data"]}
    assert {name: model["version"] for name, model in told.items()} == {
        "tiny": fleet.versions["live"],
        "tiny:base": "base",
        "second": fleet.versions["second"],
    }
    base = {part["digest"] for model in told.values() for part in model["parts"] if part["part"] == "base"}
    assert len(base) == 1
    assert told["tiny"]["digest"] != told["second"]["digest"]
    rail: Any = fleet.backend.token_models()["second"]
    assert told["second"]["parts"][1]["parameters"] == sum(value.numel() for value in rail.rail.parameters())
    assert told["second"]["dtype"] == "float32"
    assert fleet.http.post("/weight_checker").status_code == 403
    whole = fleet.post("/weight_checker", {}).json()
    assert whole["ok"]
    assert [len(model["compared_with"]) for model in whole["data"]] == [3, 1, 3]

    name = "enter.weight"
    with torch.no_grad():
        rail.rail.state_dict()[name].view(torch.int32)[1, 2] ^= 1
    found = fleet.post("/weight_checker", {}).json()
    assert not found["ok"]
    assert [model["ok"] for model in found["data"]] == [True, True, False]
    faults = found["data"][2]["differing"]
    assert {(fault["part"], fault["tensor"], fault["against"]) for fault in faults} >= {
        ("rail", name, "loaded"),
        ("rail", name, "registry"),
    }
    assert all(fault["tensor"] == name or fault["tensor"].startswith("prepared.") for fault in faults)


def test_a_flipped_bit_of_the_base_shows_in_every_model(fleet: Fleet) -> None:
    assert fleet.post("/weight_checker", {}).json()["ok"]
    weight = tiny()[0].model.get_input_embeddings().weight.view(torch.int32)
    weight[3, 3] ^= 1
    try:
        found = fleet.post("/weight_checker", {}).json()
    finally:
        weight[3, 3] ^= 1
    assert [model["ok"] for model in found["data"]] == [False, False]
    assert fleet.post("/weight_checker", {}).json()["ok"]


def test_the_tokenizers_configuration_is_told_without_paths(shared: Fleet) -> None:
    told = shared.http.get("/tokenizer_info").json()
    assert told["tokenizer_class"] == type(tiny()[0].tokenizer.backend).__name__
    assert told["eos_token"] == "<|end|>"
    assert told["model_max_length"] == shared.http.get("/v1/models").json()["data"][0]["max_model_len"]
    assert not any(name.endswith("_file") or name == "chat_template" for name in told)


def test_prompts_are_long_enough_to_fill_pages() -> None:
    assert len(tiny()[0].tokenizer.encode(PROMPT)) > 32
    assert BOSS
