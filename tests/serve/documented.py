"""Holding a server against its OpenAPI document: requests made from it, right and wrong ones, and what replies hold."""

from __future__ import annotations

import random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx
import jsonschema_rs
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

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
PATIENCE_SECONDS = 120
EXAMPLES = 25
"""Of each operation; docs/clients.md has the command that tries more."""


def schema_of(document: dict[str, Any], url: str) -> Any:
    """The document as schemathesis reads it."""
    found = schemathesis.openapi.from_dict(document)
    # By default 10 s: a goal decodes up to three plans, and a busy machine is no fault of the document.
    found.config.update(base_url=url, request_timeout=PATIENCE_SECONDS)
    return found


def check_operation(
    api_schema: Any,
    operation: str,
    mode: GenerationMode,
    headers: Mapping[str, str],
    *,
    more: Mapping[str, Any] = MappingProxyType({}),
    known: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Make requests of an operation ("POST /v1/x") and hold each reply against the document.

    Args:
        more: fields of right bodies that have none of their own.
        known: fields of right bodies, and parts of paths, in every other request; else it never names what is there.
    """
    method, path = operation.split()
    found = api_schema[path][method]
    required = required_fields(api_schema.raw_schema, path, method)

    @given(found.as_strategy(generation_mode=mode), strategies.randoms(use_true_random=True))
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any, draw: random.Random) -> None:
        if mode.is_positive and isinstance(case.body, dict):
            case.body = with_few_fields(case.body, required, draw)
            case.body.update({name: value for name, value in more.items() if case.body.get(name) is None})
        if mode.is_positive and draw.random() < 0.5:
            for place in (case.path_parameters, case.body):
                if isinstance(place, dict):
                    place.update({name: known[name] for name in place if name in known})
        case.call_and_validate(checks=CHECKS, headers=dict(headers))

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


def check_reply(document: dict[str, Any], method: str, path: str, reply: httpx.Response) -> None:
    """A success holds what the document lists and nothing else; `path` as the document has it."""
    assert reply.status_code == 200, reply.text
    schema = document["paths"][path][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
    closed = {
        name: each if "properties" not in each else {"additionalProperties": False, **each}
        for name, each in document["components"]["schemas"].items()
    }
    jsonschema_rs.validate({**schema, "components": {"schemas": closed}}, reply.json())
