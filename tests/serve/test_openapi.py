"""The server's OpenAPI document: whole, valid, and true of what requests made from it get (schemathesis)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import create_model
from schemathesis import GenerationMode

from builderbrain.errors import PolicyError
from builderbrain.grammar.base import CompiledConstraint, Constraint
from builderbrain.grammar.engine import GrammarEngine
from builderbrain.serve.agent_routes import agent_routers
from builderbrain.serve.boundary import OPEN_PATHS, is_administrative
from builderbrain.serve.goal_domains import GoalDomains
from builderbrain.serve.openapi import described
from builderbrain.serve.openapi import document as document_of
from builderbrain.serve.service import Service
from builderbrain.serve.settings import ServeSettings
from tests.serve.documented import check_operation, check_reply, schema_of
from tests.serve.fleet import BOSS, Fleet, running_fleet
from tests.serve.running import RunningServer
from tests.serve.tooling import CLOCK, tool_server

PLAN = {"version": 1, "steps": [{"id": "s1", "skill": "list", "args": {"path": "."}}]}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Every route that the command serves, over a tiny base and with the mask engine that is really served."""
    engines = []

    def goals(service: Service) -> list[APIRouter]:
        backend: Any = service.backend
        engines.append(GrammarEngine(backend.tokenizer, backend.vocab_size, compile_seconds=2.0))
        backend.mask_engine = engines[0]

        def compiled(source: str) -> CompiledConstraint:
            return engines[0].compile(Constraint(kind="grammar", source=source), trusted=True)

        folders = {"root": str(tmp_path_factory.mktemp("root")), "state_dir": str(tmp_path_factory.mktemp("state"))}
        routers, _ = agent_routers(
            ServeSettings(**folders),
            service,
            domains=GoalDomains(service, compiled),
            compile_grammar=compiled,
        )
        return routers

    with running_fleet(tmp_path_factory.mktemp("fleet"), further=goals) as started:
        yield started
    engines[0].close()


@pytest.fixture(scope="module")
def whole(fleet: Fleet) -> RunningServer:
    return fleet.server


@pytest.fixture(scope="module")
def document(whole: RunningServer) -> dict[str, Any]:
    return httpx.get(f"{whole.url}/openapi.json", trust_env=False).json()


@pytest.fixture(scope="module")
def api_schema(document: dict[str, Any], whole: RunningServer) -> Any:
    return schema_of(document, whole.url)


OPERATIONS = [
    "POST /detokenize",
    "POST /tokenize",
    "POST /v1/admin/reload",
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/decisions",
    "POST /v1/goals",
    "POST /v1/load_lora_adapter",
    "POST /v1/plans/check",
    "POST /v1/plans/confirm",
    "POST /v1/plans/dry-run",
    "POST /v1/plans/repair",
    "POST /v1/plans/run",
    "POST /v1/responses",
    "POST /v1/unload_lora_adapter",
    "POST /v1/versions/load",
    "POST /v1/versions/promote",
    "POST /v1/versions/unload",
    "POST /v1/executions/{execution}/answer",
    "POST /v1/executions/{execution}/resume",
    "GET /v1/executions/{execution}",
    "GET /v1/models/{name}",
]
NEVER_WRONG = (
    "POST /v1/admin/reload",
    "GET /v1/models/{name}",
    "GET /v1/executions/{execution}",
    "POST /v1/executions/{execution}/resume",
)
"""They read no body, and any name can be asked for."""
LIMITS = {"/v1/chat/completions": "max_tokens", "/v1/responses": "max_output_tokens"}
"""Where nothing else does, these bound an output, which would have as many tokens as the context has room for."""
REFUSED_BY_POLICY = (
    "POST /v1/goals",
    "POST /v1/react",
    "POST /v1/plans/dry-run",
    "POST /v1/plans/run",
    "POST /v1/plans/confirm",
    "POST /v1/executions/{execution}/resume",
)
"""Whoever may ask, what such a plan would do may be forbidden."""


@pytest.mark.parametrize(
    ("operation", "mode"),
    [(each, mode) for each in OPERATIONS for mode in GenerationMode if mode.is_positive or each not in NEVER_WRONG],
)
def test_what_is_made_from_the_document_gets_what_it_says(api_schema: Any, operation: str, mode: GenerationMode) -> None:
    limit = LIMITS.get(operation.split()[1])
    check_operation(api_schema, operation, mode, BOSS, more={} if limit is None else {limit: 4})


REQUESTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/", None),
    ("GET", "/health", None),
    ("GET", "/ready", None),
    ("GET", "/version", None),
    ("GET", "/v1/models", None),
    ("POST", "/v1/admin/reload", None),
    ("POST", "/tokenize", {"prompt": "the gate", "return_token_strs": True}),
    ("POST", "/detokenize", {"tokens": [40, 41]}),
    ("POST", "/v1/completions", {"prompt": "the gate", "max_tokens": 2, "echo": True, "logprobs": 2}),
    ("POST", "/v1/completions", {"prompt": "the gate", "structured_outputs": {"choice": ["red", "green"]}}),
    (
        "POST",
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "logprobs": True, "top_logprobs": 1},
    ),
    ("POST", "/v1/responses", {"input": "hi", "max_output_tokens": 2, "metadata": {"a": "b"}}),
    ("GET", "/v1/versions", None),
    ("GET", "/weight_info", None),
    ("POST", "/weight_checker", None),
    ("GET", "/tokenizer_info", None),
    ("GET", "/is_paused", None),
    ("POST", "/reset_prefix_cache", None),
    (
        "POST",
        "/v1/decisions",
        {
            "input": "the gate",
            "questions": [
                {"type": "predicate", "instructions": "open?"},
                {"type": "choice", "instructions": "which?", "choices": [{"value": "red"}, {"value": "green"}]},
                {"type": "score", "instructions": "how?", "levels": [{"label": "low"}, {"label": "high"}]},
            ],
        },
    ),
    ("POST", "/v1/plans/check", {"domain": "repo_assistant", "plan": "s1=fly()"}),
    ("POST", "/v1/goals", {"goal": "list the files"}),
    ("POST", "/v1/react", {"goal": "list the files", "max_plans": 1, "max_tokens": 40}),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_a_reply_holds_what_the_document_lists_and_nothing_else(
    whole: RunningServer, document: dict[str, Any], method: str, path: str, body: dict[str, Any] | None
) -> None:
    reply = httpx.request(method, f"{whole.url}{path}", json=body, headers=BOSS, trust_env=False, timeout=60)
    check_reply(document, method, path, reply)


def test_replies_to_an_operator_hold_what_the_document_lists(fleet: Fleet, document: dict[str, Any]) -> None:
    second = fleet.versions["second"]
    for path, body in (
        ("/pause", {"mode": "keep"}),
        ("/resume", None),
        ("/v1/versions/load", {"version": second, "model": "helper"}),
        ("/v1/versions/unload", {"model": "helper"}),
        ("/v1/versions/promote", {"version": second}),
        ("/v1/versions/rollback", {"expected_live": second}),
    ):
        check_reply(document, "POST", path, fleet.http.post(path, json=body, headers=BOSS))
    try:
        paused = fleet.http.post("/pause?mode=wait&clear_cache=true", headers=BOSS)
        check_reply(document, "POST", "/pause", paused)
        check_reply(document, "GET", "/is_paused", fleet.http.get("/is_paused"))
    finally:
        fleet.http.post("/resume", headers=BOSS)
    names = [each["name"] for each in document["paths"]["/pause"]["post"]["parameters"]]
    assert names == ["mode", "clear_cache"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "tools": [CLOCK]}),
        ("/v1/responses", {"input": "hi", "tools": [{"type": "function", "name": "clock"}]}),
    ],
)
def test_replies_with_calls_hold_what_the_document_lists(document: dict[str, Any], path: str, body: dict[str, Any]) -> None:
    with tool_server() as started:
        asked = {"model": "random", "tool_choice": "required", **body}
        reply = httpx.post(f"{started.url}{path}", json=asked, trust_env=False, timeout=60)
    check_reply(document, "POST", path, reply)
    assert "clock" in reply.text


def test_the_document_is_valid_openapi(api_schema: Any) -> None:
    api_schema.validate()
    assert api_schema.raw_schema["openapi"] == "3.1.0"


def test_the_document_holds_every_route(whole: RunningServer, document: dict[str, Any]) -> None:
    listed = httpx.get(whole.url, trust_env=False).json()["routes"]
    written = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    assert sorted(route.replace(":path}", "}") for route in listed) == sorted(written)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_models_of_one_name_are_no_document() -> None:
    """The library would give both a long name, and no reference of a route would lead to either."""
    router = APIRouter()
    for number in range(2):

        @router.get(f"/{number}")
        @described("A route.", reply=create_model("SameReply", value=(int, number)))
        async def route() -> None: ...

    with pytest.raises(ValueError, match="two of the name SameReply"):
        document_of(each for each in router.routes if isinstance(each, APIRoute))


def test_the_document_says_who_may_ask_as_the_boundary_decides(whole: RunningServer, document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = set(operation["responses"])
            if is_administrative(path):
                assert operation["security"] == [{"key": []}]
                assert answers & {"401", "403"} == {"403"}
                asked = httpx.request(method, f"{whole.url}{re.sub('{.*?}', 'x', path)}", json={}, trust_env=False)
                assert asked.status_code == 403
            elif path in OPEN_PATHS:
                assert operation["security"] == []
                assert not answers & {"401", "403", "429"}
            else:
                assert {} in operation["security"]
                assert {"401", "429"} <= answers
                assert "403" not in answers or f"{method.upper()} {path}" in REFUSED_BY_POLICY
                assert "Retry-After" in operation["responses"]["429"]["headers"]


def test_the_document_says_which_plans_the_policy_may_refuse(whole: RunningServer, document: dict[str, Any]) -> None:
    """Beside the administrator's routes nobody is refused for who asks, but for what the plan would do."""
    for route in REFUSED_BY_POLICY:
        method, path = route.split()
        assert document["paths"][path][method.lower()]["responses"]["403"]["description"] == PolicyError.__doc__
    for path in ("/v1/plans/dry-run", "/v1/plans/run"):
        asked = {"domain": "repo_assistant", "plan": PLAN, "grant": ["mutating"]}
        reply = httpx.post(f"{whole.url}{path}", json=asked, headers=BOSS, trust_env=False)
        assert reply.status_code == 403
        assert {"code": "policy_refused", "param": "grant"}.items() <= reply.json()["error"].items()


def test_the_document_says_that_a_paused_server_may_refuse(document: dict[str, Any]) -> None:
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/decisions"):
        refused = document["paths"][path]["post"]["responses"]["503"]
        assert "paused" in refused["description"]
        assert "Retry-After" in refused["headers"]
