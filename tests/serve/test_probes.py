"""Health, versions, metrics, tokens, plan checks, request ids."""

from __future__ import annotations

import httpx
import pytest

from builderbrain.serve.boundary import Keys
from tests.serve.running import CONTEXT, make_service, running_server

PLAN = {
    "domain": "repo_assistant",
    "version": 1,
    "steps": [
        {"id": "s1", "skill": "search", "args": {"pattern": "promotion gate"}},
        {"id": "s2", "skill": "read", "args": {"path": "${s1.first_path}"}},
    ],
}


def test_health_ready_and_version(http: httpx.Client) -> None:
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/ready").json() == {"status": "ready", "models": ["tiny", "tiny-other"]}
    assert http.get("/version").json()["weight_version"] == "v1"


def test_probes_answer_load_balancers_that_ask_for_the_head_alone(http: httpx.Client) -> None:
    assert [http.head(path).status_code for path in ("/health", "/ready")] == [200, 200]


def test_the_root_lists_every_route(http: httpx.Client) -> None:
    routes = http.get("/").json()["routes"]
    assert {"POST /v1/chat/completions", "GET /health", "GET /metrics"} <= set(routes)
    assert "GET / lists" in http.get("/nowhere").json()["error"]["message"]


def test_metrics_count_what_was_served(http: httpx.Client) -> None:
    def value(name: str) -> float:
        lines = [line for line in http.get("/metrics").text.splitlines() if line.startswith(name)]
        return sum(float(line.split()[-1]) for line in lines)

    before = value("vllm:generation_tokens_total"), value("vllm:request_success_total"), value("bb:plan_checks_total")
    reply = http.post("/v1/completions", json={"prompt": "the gate", "max_tokens": 4, "seed": 4}).json()
    http.post("/v1/plans/check", json={"domain": "repo_assistant", "plan": PLAN})
    after = value("vllm:generation_tokens_total"), value("vllm:request_success_total"), value("bb:plan_checks_total")
    assert after[0] - before[0] >= reply["usage"]["completion_tokens"] > 0
    assert after[1] - before[1] == after[2] - before[2] == 1
    assert value("vllm:num_requests_running") == 0
    assert value("vllm:time_to_first_token_seconds_count") > 0


def test_tokens_go_both_ways(http: httpx.Client) -> None:
    tokens = http.post("/tokenize", json={"prompt": "the promotion gate", "return_token_strs": True}).json()
    assert tokens["count"] == len(tokens["tokens"]) == len(tokens["token_strs"])
    assert tokens["max_model_len"] == CONTEXT
    assert "".join(tokens["token_strs"]) == "the promotion gate"
    assert http.post("/detokenize", json={"tokens": tokens["tokens"]}).json() == {"prompt": "the promotion gate"}


def test_the_request_id_comes_back(http: httpx.Client) -> None:
    assert http.get("/health", headers={"X-Request-Id": "mine-7"}).headers["X-Request-Id"] == "mine-7"
    assert http.get("/health").headers["X-Request-Id"].startswith("req-")
    assert http.get("/v1/nothing", headers={"X-Request-Id": "mine-8"}).headers["X-Request-Id"] == "mine-8"
    assert http.get("/health", headers={"X-Request-Id": "x" * 500}).headers["X-Request-Id"].startswith("req-")


def test_plans_are_judged_in_json_and_in_text(http: httpx.Client) -> None:
    def check(plan: object) -> dict[str, object]:
        return http.post("/v1/plans/check", json={"domain": "repo_assistant", "plan": plan}).json()

    assert check(PLAN) == {"accepted": True, "faults": [], "confirm": []}
    assert check('s1=search(pattern="promotion gate")\ns2=read(path=s1.first_path)') == {
        "accepted": True,
        "faults": [],
        "confirm": [],
    }
    wrong = check({**PLAN, "steps": [{"id": "s1", "skill": "serch", "args": {}}]})
    assert wrong["accepted"] is False
    assert wrong["faults"][0]["code"] == "unknown_skill"
    assert wrong["faults"][0]["step"] == "s1"
    assert "search" in wrong["faults"][0]["remedy"]
    for odd in (None, 7, [], "rm -rf", {}, {"steps": 3}):
        assert check(odd)["accepted"] is False, odd


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/models/tiny", "/version", "/metrics", "/v1/nothing", "/health/", "//health"]
)
def test_every_route_but_the_probes_asks_for_the_key(path: str, locked: httpx.Client) -> None:
    assert locked.get(path).status_code == 401
    assert locked.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert locked.get(path, headers={"Authorization": "Basic right"}).status_code == 401
    assert locked.get(path, headers={"Authorization": "Bearer right"}).status_code != 401
    assert locked.get(path, headers={"Authorization": "Bearer boss"}).status_code != 401


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/plans/check", "/tokenize", "/detokenize"])
def test_every_writing_route_asks_for_the_key(path: str, locked: httpx.Client) -> None:
    reply = locked.post(path, json={})
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_routes_that_change_the_server_ask_for_the_administrators_key(locked: httpx.Client, http: httpx.Client) -> None:
    for key in ("", "Bearer right", "Bearer wrong"):
        assert locked.post("/v1/admin/anything", headers={"Authorization": key}).status_code == 403
    assert locked.post("/v1/admin/anything", headers={"Authorization": "Bearer boss"}).status_code == 404
    assert http.post("/v1/admin/anything").status_code == 403  # a server without keys has no administrator


def test_probes_are_open(locked: httpx.Client) -> None:
    assert [locked.get(path).status_code for path in ("/health", "/ready")] == [200, 200]


@pytest.fixture(scope="module")
def locked():
    """A client of a server with keys."""
    with (
        running_server(make_service(), keys=Keys(client="right", administrator="boss")) as started,
        httpx.Client(base_url=started.url, trust_env=False) as made,
    ):
        yield made
