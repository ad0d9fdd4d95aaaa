"""The server's OpenAPI document: whole, valid, and true of what requests made from it get (schemathesis)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from builderbrain.agent.executor import WorkingRoot
from builderbrain.grammar.base import Constraint
from builderbrain.plan import load_grammar
from builderbrain.serve.boundary import Keys
from builderbrain.serve.goals import goals_router
from builderbrain.serve.live import LiveFollower, live_router
from tests.serve.running import RunningServer, make_service, running_server

KEY = {"Authorization": "Bearer administrator"}
PLAN = {"version": 1, "steps": [{"id": "s1", "skill": "list", "args": {"path": "."}}]}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
EXAMPLES = 25
"""Of each operation; docs/clients.md has the command that tries more."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Every route that the command serves, over a tiny base."""
    service = make_service()
    mask_engine: Any = service.backend.mask_engine
    grammar = mask_engine.compile(Constraint(kind="grammar", source=load_grammar("repo_assistant")), trusted=True)
    goals = goals_router(service, grammar=grammar, root=WorkingRoot(tmp_path_factory.mktemp("root")))
    follower = LiveFollower(current=lambda: "v1", load=lambda version: version, install=lambda model: None, version="v1")
    keys = Keys(administrator="administrator")
    with running_server(service, keys=keys, routers=(goals, live_router(follower))) as started:
        yield started


@pytest.fixture(scope="module")
def document(whole: RunningServer) -> dict[str, Any]:
    return httpx.get(f"{whole.url}/openapi.json", trust_env=False).json()


@pytest.fixture(scope="module")
def api_schema(document: dict[str, Any], whole: RunningServer) -> Any:
    """The document as schemathesis reads it."""
    found = schemathesis.openapi.from_dict(document)
    found.config.update(base_url=whole.url)
    return found


OPERATIONS = [
    "POST /detokenize",
    "POST /tokenize",
    "POST /v1/admin/reload",
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/goals",
    "POST /v1/plans/check",
    "GET /v1/models/{name}",
]
NEVER_WRONG = ("POST /v1/admin/reload", "GET /v1/models/{name}")
"""They read no body, and any name can be asked for."""


@pytest.mark.parametrize(
    ("operation", "mode"),
    [(each, mode) for each in OPERATIONS for mode in GenerationMode if mode.is_positive or each not in NEVER_WRONG],
)
def test_what_is_made_from_the_document_gets_what_it_says(api_schema: Any, operation: str, mode: GenerationMode) -> None:
    method, path = operation.split()
    found = api_schema[path][method]
    required = required_fields(api_schema.raw_schema, path, method)

    @given(found.as_strategy(generation_mode=mode), strategies.randoms(use_true_random=True))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any, draw: random.Random) -> None:
        if mode.is_positive and isinstance(case.body, dict):
            case.body = with_few_fields(case.body, required, draw)
        case.call_and_validate(checks=CHECKS, headers=KEY)

    check()


def required_fields(document: dict[str, Any], path: str, method: str) -> set[str]:
    content = document["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
    names = [each["schema"]["$ref"].rpartition("/")[2] for each in content.values()]
    return {field for name in names for field in document["components"]["schemas"][name].get("required", ())}


def with_few_fields(body: dict[str, Any], required: set[str], draw: random.Random) -> dict[str, Any]:
    """What is required and a few more: of all fields at once some pair never goes together, and everything would be refused."""
    optional = sorted(body.keys() - required)
    left_out = set(optional) - set(draw.sample(optional, min(len(optional), draw.randint(0, 3))))
    return {name: value for name, value in body.items() if name not in left_out}


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
    ("POST", "/v1/plans/check", {"domain": "repo_assistant", "plan": "s1=fly()"}),
    ("POST", "/v1/goals", {"goal": "list the files"}),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
def test_a_reply_holds_what_the_document_lists_and_nothing_else(
    whole: RunningServer, document: dict[str, Any], method: str, path: str, body: dict[str, Any] | None
) -> None:
    reply = httpx.request(method, f"{whole.url}{path}", json=body, headers=KEY, trust_env=False, timeout=60)
    assert reply.status_code == 200, reply.text
    schema = document["paths"][path][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
    closed = {
        name: each if "properties" not in each else {"additionalProperties": False, **each}
        for name, each in document["components"]["schemas"].items()
    }
    jsonschema_rs.validate({**schema, "components": {"schemas": closed}}, reply.json())


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
