"""The configuration of servers, and what was approved: every refusal names the key and says what to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from builderbrain.errors import ConfigError
from builderbrain.mcp import approve, load_catalogue, load_mcp_config
from builderbrain.mcp.approval import approval_path
from tests.mcp.servers.hostile import TOOLS

TOOL = {"look": {"safety": "read_only"}}


def write(folder: Path, server: Any, **more: Any) -> Path:
    path = folder / "mcp.yaml"
    path.write_text(json.dumps({"domain": "desk", "servers": {"shelf": server}, **more}))
    return path


@pytest.mark.parametrize(
    ("server", "field", "said"),
    [
        ({"args": [], "tools": "all"}, "servers.shelf.command", "expected servers.shelf.command=VALUE"),
        ({"command": "x"}, "servers.shelf.tools", "or tools: all"),
        ({"command": "x", "tools": "some"}, "servers.shelf.tools", "to be all or a section"),
        ({"command": "x", "tools": {}}, "servers.shelf.tools", "to be all or a section"),
        ({"command": "x", "tools": {"look": None}}, "servers.shelf.tools.look", "write look: {}"),
        ({"command": "x", "tools": {"look": {"safty": "meta"}}}, "servers.shelf.tools.look.safty", "did you mean"),
        ({"command": "x", "tools": {"look": {"safety": "harmless"}}}, "servers.shelf.tools.look.safety", "read_only"),
        ({"command": "x", "tools": {"look": {"undo": "a", "idempotent": True}}}, "servers.shelf.tools.look.undo", "got both"),
        (
            {"command": "x", "tools": {"look": {"cache_seconds": 0}}},
            "servers.shelf.tools.look.cache_seconds",
            "in [0.1, 86400]",
        ),
        ({"command": "x", "tools": "all", "timeout_seconds": 0}, "servers.shelf.timeout_seconds", "in [0.1, 3600]"),
        ({"command": "x", "tools": "all", "memory_gib": 1e9}, "servers.shelf.memory_gib", "in [0.25, 1024]"),
        ({"command": "x", "tools": "all", "environment": ["A=b"]}, "servers.shelf.environment", "write the name alone"),
        ({"command": "", "tools": "all"}, "servers.shelf.command", "name one"),
        ({"command": "x", "tools": "all", "netwrk": True}, "servers.shelf.netwrk", "did you mean servers.shelf.network"),
        ({"command": "x", "tools": "all", "network": "yes please"}, "servers.shelf.network", "true or false"),
        ("x", "servers.shelf", "a section"),
    ],
)
def test_a_server_section_at_fault_is_named(tmp_path: Path, server: Any, field: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_mcp_config(write(tmp_path, server))
    assert refused.value.field == field
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("domain: desk", "servers"),
        ("domain: desk\nservers: {}", "servers"),
        ("servers: {a: {command: x, tools: all}}", "domain"),
        ("domain: Desk\nservers: {a: {command: x, tools: all}}", "domain"),
        ("domain: scan\nservers: {a: {command: x, tools: all}}", "domain"),
        ("domain: desk\nversion: 0\nservers: {a: {command: x, tools: all}}", "version"),
        ("domain: desk\nservers: {A: {command: x, tools: all}}", "servers.A"),
        ("domain: desk\nservers: {plan: {command: x, tools: all}}", "servers.plan"),
        ("domain: desk\nservers: {step_1: {command: x, tools: all}}", "servers.step_1"),
        ("domain: desk\nservers: {a: {command: x, command: y, tools: all}}", "config"),
        ("[", "config"),
        ("", "config"),
    ],
)
def test_a_file_at_fault_is_named(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "mcp.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_mcp_config(path)
    assert refused.value.field == field


def test_paths_may_begin_at_the_file(tmp_path: Path) -> None:
    section = {"command": "${config}/run", "args": ["${config}/a", "b"], "reads": ["${config}"], "tools": "all"}
    server = load_mcp_config(write(tmp_path, section)).servers["shelf"]
    assert (server.command, server.args, server.reads) == (f"{tmp_path}/run", (f"{tmp_path}/a", "b"), (str(tmp_path),))


def test_a_domain_is_made_of_what_was_approved_and_no_server_is_started(tmp_path: Path) -> None:
    path = write(tmp_path, {"command": "/nowhere/server", "tools": TOOL})
    with pytest.raises(ConfigError, match="not approved; look at its tools with python -m builderbrain"):
        load_catalogue(path)
    approve(path, {"shelf": tuple(TOOLS)})
    catalogue = load_catalogue(path)
    assert set(catalogue.domain.skills) == set(catalogue.tools) == {"shelf_look"}
    assert catalogue.domain.skills["shelf_look"].safety == "read_only"
    with catalogue.available(), load_catalogue(path).available() as domain:  # loading again finds nobody in its way
        assert domain is catalogue.domain
    approve(path, {"shelf": (*TOOLS, {**TOOLS[0], "name": "other"})})
    assert load_catalogue(path).domain.schema_sha256 != catalogue.domain.schema_sha256


def test_an_approval_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"command": "x", "tools": TOOL})
    approve(path, {"shelf": tuple(TOOLS)})
    approved = approval_path(path)
    text = approved.read_text()
    for edited in (text.replace("Acts.", "Obeys."), text.replace("approval-1", "approval-9"), text[:-20], "[]", "{}"):
        approved.write_text(edited)
        with pytest.raises(ConfigError, match="approve the servers again"):
            load_catalogue(path)


@pytest.mark.parametrize(
    ("tools", "field", "said"),
    [
        ({"loook": {}}, "servers.shelf.tools.loook", "no such tool; did you mean look"),
        ({"bad": {}}, "servers.shelf.tools.bad", "cannot be used: argument 'x': 'pattern'"),
        ({"look": {"undo": "bak"}, "back": {}}, "servers.shelf.tools.look.undo", "did you mean back"),
        ({"look": {"undo": "back"}, "back": {}}, "skills.shelf_look.undo", "shelf_back is irreversible"),
        ({"look": {"safety": "read_only", "idempotent": True}}, "servers.shelf.tools.look", "drop its idempotent"),
    ],
)
def test_tools_that_the_file_names_must_be_usable(tmp_path: Path, tools: Any, field: str, said: str) -> None:
    pattern = {"type": "object", "properties": {"x": {"type": "string", "pattern": "y"}}, "required": ["x"]}
    listed = ({**TOOLS[0]}, {**TOOLS[1], "name": "back"}, {"name": "bad", "inputSchema": pattern})
    path = write(tmp_path, {"command": "x", "tools": tools})
    approve(path, {"shelf": listed})
    with pytest.raises(ConfigError) as refused:
        load_catalogue(path)
    assert refused.value.field == field
    assert said in refused.value.message


def test_an_undo_is_a_tool_of_the_server(tmp_path: Path) -> None:
    tools = {"act": {"undo": "look"}, "look": {"idempotent": True, "confirm": False}}
    path = write(tmp_path, {"command": "x", "tools": tools})
    approve(path, {"shelf": tuple(TOOLS)})
    domain = load_catalogue(path).domain
    assert domain.skills["shelf_act"].undo == "shelf_look"
    assert domain.confirmed == {"shelf_act"}


def test_a_list_without_a_usable_tool_makes_no_domain(tmp_path: Path) -> None:
    path = write(tmp_path, {"command": "x", "tools": "all"})
    approve(path, {"shelf": ({**TOOLS[0], "name": "../x"},)})
    with pytest.raises(ConfigError, match="expected 1 to 64 tools that can be used, got 0"):
        load_catalogue(path)
